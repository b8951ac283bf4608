/** Checkpoints that TensorFlow wrote (test/fixtures/tensorflow/README.md). */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { nameFromTensorFlow, nameInTensorFlow } from "../../src/architectures/gpt2/formats/tensorflow.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { snappyDecompress } from "../../src/checkpoint/tensorflow/snappy.js";
import { GPT2 } from "../../src/gpt2.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { packageFile } from "../../src/util/package-root.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { readAll } from "./small-model.js";

const FIXTURES = packageFile("test/fixtures/tensorflow");
const root = mkdtempSync(join(tmpdir(), "gpt2-tensorflow-"));
after(() => rmSync(root, { recursive: true }));

/** CONFIG and SEED of scripts/python/make_tensorflow_fixture.py. */
const CONFIG = gpt2Config({ vocabSize: 258, nCtx: 7, nEmbd: 6, nLayer: 2, nHead: 2 });
const SEED = 1202;

const seeded = (seed: number): Map<string, Float32Array> =>
  new Map([...seededTensors(CONFIG, seed)].map(([{ name }, values]) => [name, values]));

describe("TensorFlow checkpoints", () => {
  const cases: [path: string, seed: number][] = [
    ["openai", SEED],
    ["openai/model.ckpt.index", SEED],
    ["trained", SEED + 1],
    ["trained/model-10.index", SEED],
  ];
  for (const [path, seed] of cases) {
    it(`${path} gives the values that TensorFlow saved`, async () => {
      const checkpoint = await openCheckpoint(join(FIXTURES, path));
      assert.equal(checkpoint.format, "tensorflow");
      assert.deepEqual(checkpoint.config, CONFIG);
      assert.deepEqual(readAll(checkpoint), seeded(seed));
      checkpoint.close();
    });
  }

  it("is a model with its tokenizer", async () => {
    await using model = await GPT2.load(join(FIXTURES, "openai"), { backend: "reference" });
    assert.deepEqual([...model.tokenizer!.encode("hehé")], [256, 71, 127, 102]);
    assert.equal(model.endOfText, 257);
    assert.equal((await model.logits([257, 1, 2])).length, 3 * 258);
  });

  it("names every tensor of the table, and back", () => {
    for (const { name } of tensorTable(CONFIG)) assert.equal(nameFromTensorFlow(nameInTensorFlow(name)), name);
    assert.equal(nameInTensorFlow("h.1.ln_2.bias"), "model/h1/ln_2/b");
    assert.equal(nameInTensorFlow("ln_f.weight"), "model/ln_f/g");
    for (const other of ["global_step", "beta1_power", "model/wte/Adam", "model/h0/mlp/c_fc/w/Adam_1"]) {
      assert.equal(nameFromTensorFlow(other), undefined);
    }
  });
});

/** A copy of a fixture's folder with one file changed. */
function changed(folder: string, file: string, change: (bytes: Buffer) => Buffer | string): string {
  const copy = mkdtempSync(join(root, "c-"));
  cpSync(join(FIXTURES, folder), copy, { recursive: true });
  writeFileSync(join(copy, file), change(readFileSync(join(copy, file))));
  return copy;
}

function without(folder: string, ...files: string[]): string {
  const copy = mkdtempSync(join(root, "c-"));
  cpSync(join(FIXTURES, folder), copy, { recursive: true });
  for (const file of files) rmSync(join(copy, file));
  return copy;
}

describe("TensorFlow checkpoints that are refused", () => {
  const DATA = "model.ckpt.data-00000-of-00001";
  const cases: [name: string, path: () => string, message: RegExp][] = [
    ["without hparams.json", () => without("openai", "hparams.json"), /without hparams\.json, which gives/],
    [
      "by its index without hparams.json",
      () => `${without("openai", "hparams.json")}/model.ckpt.index`,
      /hparams\.json, got no such/,
    ],
    ["without data", () => without("openai", DATA), /data-00000-of-00001: .*no such file/],
    ["without an index", () => without("openai", "checkpoint", "model.ckpt.index"), /hparams\.json without one/],
    [
      "with two and no file that says which",
      () => without("trained", "checkpoint"),
      /2 and no file checkpoint\. Give the path/,
    ],
    ["by its data", () => join(FIXTURES, "openai", DATA), /part of a TensorFlow checkpoint; give its folder/],
    [
      "other sizes",
      () => changed("openai", "hparams.json", (b) => b.toString().replace("258", "257")),
      /tensor "model\/wte": expected shape \[257, 6\], got \[258, 6\]/,
    ],
    [
      "more layers",
      () => changed("openai", "hparams.json", (b) => b.toString().replace('"n_layer": 2', '"n_layer": 3')),
      /tensor model\/h2\/ln_1\/g: .*no such tensor/,
    ],
    [
      "no heads",
      () => changed("openai", "hparams.json", (b) => b.toString().replace("n_head", "heads")),
      /n_head: expected a number, got undefined/,
    ],
    [
      "another checksum in the index",
      () => changed("openai", "model.ckpt.index", (b) => b.fill(0xff, 100, 101)),
      /a block at byte \d+ with the checksum 0x[0-9a-f]+, got 0x[0-9a-f]+/,
    ],
    [
      "another checksum in a compressed index",
      () => changed("trained", "model-20.index", (b) => b.fill(0xff, 100, 101)),
      /a block at byte \d+ with the checksum 0x[0-9a-f]+, got 0x[0-9a-f]+/,
    ],
    [
      "half an index",
      () => changed("openai", "model.ckpt.index", (b) => b.subarray(0, 300)),
      /magic number of a sorted table/,
    ],
    [
      "short data",
      () => changed("openai", DATA, (b) => b.subarray(0, 9000)),
      /bytes in .*data-00000-of-00001, got 9000\. It is truncated/,
    ],
    [
      "no latest checkpoint",
      () => changed("openai", "checkpoint", () => "nothing"),
      /expected model_checkpoint_path, got "nothing"/,
    ],
  ];
  for (const [name, path, message] of cases) {
    it(`refuses one ${name}`, async () => {
      await assert.rejects(openCheckpoint(path()), { message, name: /^(CheckpointError|ConfigError)$/ });
    });
  }

  it("refuses damaged data when it is read", async () => {
    const path = changed("openai", DATA, (b) => b.fill(1, 5000, 5001));
    const checkpoint = await openCheckpoint(path);
    assert.throws(() => readAll(checkpoint), { name: "CheckpointError", message: /data with the checksum \d+, got/ });
    checkpoint.close();
  });
});

describe("Snappy", () => {
  const unpack = (...bytes: number[]) => [...snappyDecompress(Uint8Array.from(bytes), 1000, "test")];

  it("decompresses literals and copies, overlapping ones too", () => {
    assert.deepEqual(unpack(0), []);
    assert.deepEqual(unpack(3, 2 << 2, 7, 8, 9), [7, 8, 9]);
    // A literal of 2 bytes, then 6 bytes copied from 2 bytes back, with the offset in 1, 2 and 4 bytes.
    assert.deepEqual(unpack(8, 1 << 2, 7, 8, (2 << 2) | 1, 2), [7, 8, 7, 8, 7, 8, 7, 8]);
    assert.deepEqual(unpack(8, 1 << 2, 7, 8, (5 << 2) | 2, 2, 0), [7, 8, 7, 8, 7, 8, 7, 8]);
    assert.deepEqual(unpack(8, 1 << 2, 7, 8, (5 << 2) | 3, 2, 0, 0, 0), [7, 8, 7, 8, 7, 8, 7, 8]);
    // The length of a literal in the byte after its tag.
    assert.deepEqual(unpack(61, 60 << 2, 60, ...new Array<number>(61).fill(5)), new Array(61).fill(5));
  });

  it("refuses malformed data", () => {
    const cases: [bytes: number[], message: RegExp][] = [
      [[], /1 more bytes/],
      [[0xe9, 7], /at most 1000 bytes, got 1001/],
      [[3, 2 << 2, 7], /3 more bytes, got 1/],
      [[3, 1 << 2, 7, 8], /3 bytes, got 2/],
      [[1, 1 << 2, 7, 8], /1 bytes, got more/],
      [[9, 0, 7, (2 << 2) | 1, 2], /a copy from the preceding 1 bytes, got 2/],
      [[9, 0, 7, (2 << 2) | 1, 0], /a copy from the preceding 1 bytes, got 0/],
      [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], /a number of at most 10 bytes/],
    ];
    for (const [bytes, message] of cases) assert.throws(() => unpack(...bytes), { name: "CheckpointError", message });
  });
});
