/** The command in one file, as `npm run build` leaves it (scripts/bundle-cli.ts). */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { bundleCli } from "../../scripts/bundle-cli.js";
import { packageFile } from "../../src/util/package-root.js";

const BUNDLE = packageFile("dist/src/cli/main.bundle-test.js");
const MAIN = packageFile("dist/src/cli/main.js");
const dir = mkdtempSync(join(tmpdir(), "gpt2-cli-bundle-"));

const run = async (main: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args], { env: { ...process.env, ...env } });
  return stdout;
};

describe("the command in one file", () => {
  before(() => bundleCli(BUNDLE));
  after(() => {
    rmSync(BUNDLE);
    rmSync(dir, { recursive: true });
  });

  for (const backend of ["native", "wasm", "reference"]) {
    it(`generates the same as the modules, on the backend ${backend}`, async () => {
      const args = ["Once upon a time", "-n", "6", "--temperature", "0", "--threads", "2"];
      const env = { GPT2_BACKEND: backend };
      assert.equal(await run(BUNDLE, args, env), await run(MAIN, args, env));
    });
  }

  it("finds its workers, compressed files and the package's own", async () => {
    const file = join(dir, "text.txt.gz");
    writeFileSync(file, gzipSync("A short story about a dog. ".repeat(400)));
    const out = join(dir, "data");
    const made = JSON.parse(await run(BUNDLE, ["data", file, "--out", out, "--workers", "2", "--json"]));
    assert.ok(made.splits.train.tokens > 1000);
    assert.match(await run(BUNDLE, ["train", "--plan", out, "--layers", "1"]), /vocabulary 50257/);
    assert.match(await run(BUNDLE, ["--version"]), /^\d+\.\d+\.\d+\n$/);
  });
});
