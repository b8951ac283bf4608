import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { CaseResult } from "../../bench/measure.js";
import type { SummaryRow } from "../../bench/summary.js";
import { nativeLibrary } from "../../src/backend/native/library.js";
import { packageFile } from "../../src/util/package-root.js";

const program = fileURLToPath(new URL("../../bench/run.js", import.meta.url));
const run = promisify(execFile);

/** The part of --json's file that the test reads. */
interface Written {
  readonly suites: readonly { readonly results: readonly Pick<CaseResult, "figures">[] }[];
  readonly summary: readonly SummaryRow[];
}

function whyNot(): string | false {
  try {
    nativeLibrary();
    return false;
  } catch (error) {
    return (error as Error).message;
  }
}

describe("npm run bench", { skip: whyNot() }, () => {
  it("measures a small model by itself and writes the document's tables", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gpt2-bench-test-"));
    try {
      const [doc, json] = [join(folder, "performance.md"), join(folder, "all.json")];
      copyFileSync(packageFile("docs/performance.md"), doc);
      const common = ["--model", "tiny", "--peers", "none", "--repeats", "1", "--retries", "0", "--cache", folder];
      const choice = ["prefill-512-f32", "train-4x256-f32", "--write-docs", "--doc", doc, "--json", json];
      const { stdout } = await run(process.execPath, [program, ...choice, ...common]);
      const written = readFileSync(doc, "utf8");
      assert.match(stdout, /\| prefill of 512, f32/);
      assert.match(written, /<!-- bench:prefill -->\n.*\| prefill of 512, f32.*<!-- \/bench:prefill -->/s);
      assert.match(written, /<!-- bench:train -->\n.*\| training step, B=4 T=256, f32/s);
      assert.match(
        written,
        /<!-- bench:summary -->\n.*\| prefill of 512, f32.*\| training step.*<!-- \/bench:summary -->/s,
      );
      const { suites, summary } = JSON.parse(readFileSync(json, "utf8")) as Written;
      for (const { results } of suites) assert.ok(results[0]!.figures["gpt2-ts"]!.median > 0);
      assert.deepEqual(
        summary.map((row) => row.case),
        ["train-4x256-f32", "prefill-512-f32"],
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("lists its cases when asked for something else", async () => {
    const failure = await run(process.execPath, [program, "speed"]).then(
      () => undefined,
      (error: { stderr: string; code: number }) => error,
    );
    assert.equal(failure?.code, 1);
    assert.match(failure.stderr, /^bench: no case speed; there are limits, train/);
  });
});
