/** Pipes as inputs of functions that read their input twice. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { withCopies } from "../../src/data/copy-inputs.js";
import { readExamplesInfo } from "../../src/data/examples/example-folder.js";
import { prepareExamples } from "../../src/data/examples/prepare-examples.js";
import { prepareData } from "../../src/data/prepare.js";
import { DataError } from "../../src/errors.js";
import { buildNgramFilter } from "../../src/evaluate/overlap/build-filter.js";
import { buildIndex } from "../../src/misuse/trace/build-index.js";
import { finetuneData } from "../../src/train/finetune-data.js";
import { smallTokenizer } from "./support.js";

const skip = process.platform === "win32" && "needs POSIX";

describe("a pipe among the inputs", { skip }, () => {
  const dir = mkdtempSync(join(tmpdir(), "gpt2-pipes-"));
  after(() => rmSync(dir, { recursive: true }));
  const pipeOf = (name: string): string => {
    const path = join(dir, name);
    execFileSync("mkfifo", [path]);
    return path;
  };
  const LINES = Array.from({ length: 20 }, (_, i) => JSON.stringify({ prompt: `q ${i}`, completion: `a ${i}` }));

  it("is used for fine-tuning like a file, and keeps its name", async () => {
    const [pipe, out] = [pipeOf("examples.jsonl"), join(dir, "run")];
    const tokenizer = async () => ({ tokenizer: smallTokenizer(), name: "small", nCtx: 64 });
    const [folder] = await Promise.all([
      finetuneData(out, { data: pipe }, tokenizer),
      writeFile(pipe, LINES.join("\n")),
    ]);
    const info = readExamplesInfo(folder)!;
    assert.deepEqual([info.sources[0]!.input, info.sources[0]!.examples], [pipe, LINES.length]);
  });

  it("gives the same filter as a file, with a compressed one beside it", async () => {
    const text = readFileSync(new URL(import.meta.url), "utf8");
    const [pipe, file] = [pipeOf("text"), join(dir, "text.txt")];
    writeFileSync(file, text);
    const [piped] = await Promise.all([buildNgramFilter([pipe], { workers: 0 }), writeFile(pipe, text)]);
    assert.deepEqual(piped, await buildNgramFilter([file], { workers: 0 }));
  });

  it("is copied once, and the copy removed, whatever happens", async () => {
    const pipe = pipeOf("failing");
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith("gpt2-input-"));
    const failing = withCopies([pipe, "missing"], async ([first, second]) => {
      assert.ok(typeof first === "object" && first.path === pipe);
      assert.equal(readFileSync(first.copy, "utf8"), "text");
      assert.equal(second, "missing");
      throw new DataError({ op: "reading", got: "nothing" });
    });
    await Promise.all([assert.rejects(failing, DataError), writeFile(pipe, "text")]);
    assert.deepEqual(
      readdirSync(tmpdir()).filter((name) => name.startsWith("gpt2-input-")),
      before,
    );
  });

  it("that stays silent is awaited until the signal, by every reader", async () => {
    const pipe = pipeOf("silent.jsonl");
    const abort = new AbortController();
    const options = { tokenizer: smallTokenizer(), signal: abort.signal };
    const reading = [
      withCopies([pipe], async () => {}, abort.signal),
      prepareData([pipe], { ...options, out: join(dir, "tokens") }),
      prepareExamples([pipe], { ...options, out: join(dir, "examples") }),
      buildIndex([pipe], { ...options, out: join(dir, "index") }),
      buildNgramFilter([pipe], { signal: abort.signal }),
    ];
    const aborted = Promise.all(reading.map((read) => assert.rejects(read, { name: "AbortError" })));
    setTimeout(() => abort.abort(), 50);
    await aborted;
    const made = readdirSync(dir).filter((name) => /tokens|examples$|index/.test(name));
    assert.deepEqual(made, []);
  });
});
