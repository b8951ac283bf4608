/** Damaged texts, JSON lines, archives and data sets give their contents or a typed error. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { type BatchArrays, fillPass } from "../../src/data/examples/examples.js";
import { labelledLine } from "../../src/data/examples/labelled-line.js";
import { openExamples } from "../../src/data/examples/open-examples.js";
import { prepareExamples } from "../../src/data/examples/prepare-examples.js";
import { prepareLabelled } from "../../src/data/examples/prepare-labelled.js";
import { checkTemplate, promptParts, renderExample, templateFor } from "../../src/data/examples/template.js";
import { readTextFile } from "../../src/data/read-input.js";
import { readLines } from "../../src/data/read-lines.js";
import { bunzip2 } from "../../src/evaluate/data/bzip2.js";
import { openZip } from "../../src/evaluate/data/zip.js";
import { packageFile } from "../../src/util/package-root.js";
import { fuzz, fuzzAsync, guarded, guardedAsync, type Mutator, reading, timeout } from "../checkpoint/mutator.js";
import { DamagedFolder } from "../helpers/damaged-folder.js";
import { writeDatasetOf } from "../helpers/write-dataset.js";
import { smallTokenizer, ZSTD_THREE_DOCUMENTS, ZSTD_TWO_FRAMES } from "./support.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-data-fuzz-"));
after(() => rmSync(dir, { recursive: true }));

const packed = (name: string): Uint8Array => readFileSync(packageFile(`test/fixtures/evaluate/packed/${name}`));
const LINES = [
  { prompt: "What is the tide?", completion: "The sea, \u{1f30a}, coming and going." },
  {
    messages: [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello\n" },
    ],
  },
  { text: "good \ud83d", label: "yes" },
  { text: "bad", label: 3, other: [1, { a: null }] },
].map((line) => JSON.stringify(line));
const JSONL = new TextEncoder().encode(`\ufeff${LINES.join("\r\n")}\n\n`);

/** Blocks of zstd and bzip2 may be this long, however few bytes encode them. */
const MOST_CONTENT = 2 ** 26;

describe("damaged compressed data", () => {
  const files = { "two.zst": ZSTD_TWO_FRAMES, "three.zst": ZSTD_THREE_DOCUMENTS, "lines.jsonl.gz": gzipSync(JSONL) };

  for (const [name, whole] of Object.entries(files)) {
    it(name, { timeout }, async () => {
      const path = join(dir, name);
      await fuzzAsync(400, async (mutator, what) => {
        // A quarter of the damage is where gzip has a date and a system, and zstd the content covered by its checksum.
        const bytes = mutator.below(4) > 0 ? mutator.bytes(whole, 20) : mutator.overwrite(whole, 4, 10);
        writeFileSync(path, bytes);
        reading(bytes);
        const read = async () => assert.ok((await readTextFile(path)).length < MOST_CONTENT);
        await guardedAsync(what, read, MOST_CONTENT);
      });
    });
  }

  for (const name of ["looking-glass.txt.bz2", "runs.bz2"]) {
    it(name, { timeout }, () => {
      const whole = packed(name);
      fuzz(200, (mutator, what) => {
        // A quarter of the damage is in the last checksum, of the blocks' checksums, which are themselves verified.
        const anywhere = mutator.bytes(whole, mutator.pick([10, 100, whole.length]));
        const bytes = mutator.below(4) > 0 ? anywhere : mutator.overwrite(whole, whole.length - 4, whole.length);
        guarded(what, () => void bunzip2(bytes, name), MOST_CONTENT);
      });
    });
  }

  it("zip", { timeout }, async () => {
    const whole = packed("two.zip");
    await fuzzAsync(600, async (mutator, what) => {
      // A quarter of the damage is in versions and dates, on which nothing depends.
      const bytes = mutator.below(4) > 0 ? mutator.bytes(whole, whole.length) : mutator.overwrite(whole, 4, 14);
      const read = async () => {
        const archive = openZip(bytes, "two.zip");
        for (const name of archive.names) await archive.read(name);
      };
      await guardedAsync(what, read, MOST_CONTENT);
    });
  });
});

describe("damaged JSON lines", () => {
  /** Everything that a line can become. */
  async function readAll(path: string): Promise<void> {
    const file = { path, input: 0, size: statSync(path).size, format: "jsonl", compression: undefined } as const;
    for await (const line of readLines([file])) {
      const template = templateFor(line.record);
      if (template) {
        renderExample(template, line.record, line.where);
        promptParts(template, line.record);
      } else labelledLine(line, "classification");
    }
  }

  it("as text and as bytes", { timeout }, async () => {
    const path = join(dir, "lines");
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(JSONL);
    await fuzzAsync(1000, async (mutator, what) => {
      const json = mutator.below(2) > 0;
      const bytes = json ? new TextEncoder().encode(mutator.json(text)) : mutator.bytes(JSONL, JSONL.length);
      writeFileSync(path, bytes);
      reading(bytes);
      await guardedAsync(what, () => readAll(path));
    });
  });

  it("templates", { timeout }, () => {
    const text = '{"chat":{"user":{"prompt":"Q: {content}\\n"},"assistant":{"prompt":"A:","completion":" {content}"}}}';
    const messages = [
      { role: "user", content: "x" },
      { role: "assistant", content: "y" },
    ];
    fuzz(2000, (mutator, what) => {
      let json: unknown;
      try {
        json = JSON.parse(mutator.json(text));
      } catch {
        json = null;
      }
      guarded(what, () => void renderExample(checkTemplate(json), { messages }, "a line"));
    });
  });
});

describe("damaged data sets", () => {
  const [B, T, vocabSize] = [2, 8, 300];

  /** Reads every split as a run does; every index for a kernel must be in range. */
  async function readPasses(folder: string): Promise<void> {
    const options = {
      B,
      T,
      seed: 1,
      vocabSize,
      withVal: true,
      isolate: true,
      endOfText: 256,
      labelAt: "last",
    } as const;
    const source = openExamples(folder, options);
    try {
      for (const split of [source.train, source.val]) {
        if (!split) continue;
        const N = B * T;
        const batch: BatchArrays = {
          tokens: new Int32Array(N),
          targets: new Int32Array(N).fill(-1),
          positions: new Int32Array(N),
          first: new Int32Array(N),
          tokenTypes: new Int32Array(N),
          values: new Float32Array(N),
        };
        fillPass(split.examples, split.order, 0, batch);
        assert.ok(
          batch.tokens.every((id) => id >= 0 && id < vocabSize),
          "tokens",
        );
        assert.ok(
          batch.targets.every((id) => id < vocabSize),
          "targets",
        );
        assert.ok(
          batch.positions.every((at) => at >= 0 && at < T),
          "positions",
        );
        assert.ok(
          batch.first.every((at, n) => at >= 0 && at <= n),
          "first",
        );
      }
    } finally {
      source.close();
    }
  }

  async function fuzzFolder(folder: string, names: readonly string[], rounds: number): Promise<void> {
    const copy = new DamagedFolder(folder, names);
    try {
      await fuzzAsync(rounds, (mutator: Mutator, what) =>
        copy.damaged(mutator, (name) => guardedAsync(`${what}, ${name}`, () => readPasses(copy.path))),
      );
    } finally {
      copy.remove();
    }
  }

  it("text", { timeout }, async () => {
    const folder = await writeDatasetOf(join(dir, "text"), { train: 200, val: 60 });
    await fuzzFolder(folder, ["dataset.json", "train-00000.bin", "val-00000.bin"], 400);
  });

  it("examples", { timeout }, async () => {
    const lines = join(dir, "ex.jsonl");
    const line = (i: number) => JSON.stringify({ prompt: `What is ${i}?`, completion: `the number ${i}` });
    writeFileSync(lines, Array.from({ length: 30 }, (_, i) => line(i)).join("\n"));
    const out = join(dir, "examples");
    await prepareExamples([lines], { out, tokenizer: smallTokenizer(), valFraction: 0.2 });
    await fuzzFolder(out, ["examples.json", "train.safetensors", "val.safetensors"], 400);
  });

  it("labelled texts", { timeout }, async () => {
    const lines = join(dir, "labels.jsonl");
    const line = (i: number) => JSON.stringify({ text: `text ${i}`, label: i % 2 === 0 ? "even" : "odd" });
    writeFileSync(lines, Array.from({ length: 30 }, (_, i) => line(i)).join("\n"));
    const out = join(dir, "labelled");
    await prepareLabelled([lines], { out, tokenizer: smallTokenizer(), kind: "classification", valFraction: 0.2 });
    await fuzzFolder(out, ["labelled.json", "train.safetensors", "val.safetensors"], 400);
  });
});
