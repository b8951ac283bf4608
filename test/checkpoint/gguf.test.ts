import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { heldAs } from "../../src/architectures/weight-types.js";
import { chooseBackend } from "../../src/backend/choose.js";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { readGguf } from "../../src/checkpoint/gguf/read.js";
import { encodeValues, type WeightType } from "../../src/dtype/dtype.js";
import { decodeStored, type StoredDtype, storedBytes } from "../../src/dtype/stored.js";
import { CheckpointError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { openGguf } from "../../src/pretrained/formats/gguf/read.js";
import { describeCheckpoint, memoryFiles } from "../../src/pretrained/index.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { packageFile } from "../../src/util/package-root.js";
import { seededWeights } from "../generate/models.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { readAll } from "./small-model.js";

/** Files that llama.cpp's converter and Python's gguf wrote: see test/fixtures/gguf/README.md. */

const SEED = 71;
const CONVERTED = gpt2Config({ vocabSize: 320, nCtx: 48, nEmbd: 32, nLayer: 2, nHead: 4, nInner: 128 });
const UNUSUAL = gpt2Config({
  vocabSize: 262,
  nCtx: 8,
  nEmbd: 32,
  nLayer: 1,
  nHead: 2,
  nInner: 64,
  tieWordEmbeddings: false,
});

const path = (name: string): string => packageFile(`test/fixtures/gguf/${name}`);
const fixture = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(path(name)));
const load = (bytes: Uint8Array) => openGguf("model.gguf", memoryFiles("model.gguf", { "model.gguf": bytes }));
const json = (name: string): unknown => JSON.parse(readFileSync(path(name), "utf8"));

/** The seeded weights as stored in a file of these types. */
function roundedWeights(config: GPT2Config, typeOf: (name: string) => WeightType): Map<string, Float32Array> {
  return new Map(
    Array.from(seededTensors(config, SEED), ([{ name }, data]) => {
      const bytes = new Uint8Array(storedBytes(typeOf(name), data.length));
      encodeValues(typeOf(name), data, bytes);
      const values = new Float32Array(data.length);
      decodeStored(typeOf(name), bytes, values);
      return [name, values];
    }),
  );
}

describe("files of llama.cpp's converter", () => {
  for (const dtype of ["f32", "f16", "bf16", "q8_0"] as const) {
    it(`${dtype}: configuration and every value`, () => {
      const checkpoint = load(fixture(`converted-${dtype}.gguf`));
      assert.deepEqual(checkpoint.config, CONVERTED);
      assert.equal(checkpoint.dtype, dtype);
      assert.equal(checkpoint.bosTokenId, 319);
      assert.deepEqual(checkpoint.eosTokenIds, [319]);
      assert.equal(checkpoint.metadata.name, "seeded");
      const types = new Map(Array.from(seededTensors(CONVERTED, SEED), ([spec]) => [spec.name, heldAs(spec, dtype)]));
      for (const [name, tensor] of checkpoint.tensors) assert.equal(tensor.dtype, types.get(name), name);
      assert.deepEqual(
        readAll(checkpoint),
        roundedWeights(CONVERTED, (name) => types.get(name)!),
      );
    });
  }

  it("rows can be read separately", () => {
    const { tensors } = load(fixture("converted-q8_0.gguf"));
    const wte = tensors.get("wte.weight")!;
    const all = new Float32Array(320 * 32);
    wte.readInto(all);
    const some = new Float32Array(3 * 32);
    wte.readRows(7, some);
    assert.deepEqual(some, all.slice(7 * 32, 10 * 32));
  });

  it("are used in place from memory", () => {
    const file = fixture("converted-q8_0.gguf");
    const { tensors } = load(file);
    const weight = tensors.get("h.1.mlp.c_fc.weight")!;
    assert.ok(weight.inMemory && weight.storedAs === "out_in");
    weight.checkFinite();
    assert.equal(weight.data.buffer, file.buffer);
    assert.equal(weight.data.length, (128 * 32 * 34) / 32);
    assert.equal(tensors.get("ln_f.bias")!.data.buffer, file.buffer);
  });

  it("tokenize like Hugging Face's tokenizers", async () => {
    const tokenizer = (await load(fixture("converted-f32.gguf")).loadTokenizer!())!;
    assert.equal(tokenizer.vocabSize, 320);
    assert.deepEqual([...tokenizer.specialTokens], [["<|endoftext|>", 319]]);
    const cases = json("tokens.json") as { text: string; ids: number[] }[];
    assert.ok(cases.length > 5);
    for (const { text, ids } of cases) assert.deepEqual([...tokenizer.encode(text)], ids, text);
  });

  it("of version 2 are the same", () => {
    const file = fixture("converted-f16.gguf");
    new DataView(file.buffer).setUint32(4, 2, true);
    assert.equal(readGguf(memorySource("v2", file)).version, 2);
    assert.deepEqual(readAll(load(file)), readAll(load(fixture("converted-f16.gguf"))));
  });

  it("compute what the weights say", async () => {
    const { backend } = await chooseBackend({ threads: 1 });
    const ids = [5, 81, 3, 319, 200];
    const expected = new GPT2({ backend, config: CONVERTED, weights: seededWeights(backend, CONVERTED, SEED) });
    const model = await GPT2.load(path("converted-f32.gguf"), { threads: 1 });
    assert.deepEqual(await model.logits(ids), await expected.logits(ids));
    assert.equal(model.endOfText, 319);
    assert.equal(model.tokenizer!.decode(model.tokenizer!.encode("Alice said")), "Alice said");
    // q8_0 from the file, or encoded from the single-precision weights: the same blocks.
    const quantized = await GPT2.load(path("converted-q8_0.gguf"), { threads: 1 });
    const made = await GPT2.load(path("converted-f32.gguf"), { threads: 1, dtype: "q8_0" });
    assert.deepEqual(await quantized.logits(ids), await made.logits(ids));
    assert.notDeepEqual(await quantized.logits(ids), await model.logits(ids));
  });

  it("describe themselves", async () => {
    const checkpoint = await openCheckpoint(path("converted-q8_0.gguf"));
    const { format, dtype, tokenizerInFile, parameters, tensors } = describeCheckpoint(checkpoint);
    checkpoint.close();
    assert.deepEqual({ format, dtype, tokenizerInFile }, { format: "gguf", dtype: "q8_0", tokenizerInFile: true });
    assert.equal(parameters, 37248);
    assert.equal(tensors.length, 28);
  });
});

describe("an unusual file", () => {
  it("metadata of every type", () => {
    const { metadata } = readGguf(memorySource("unusual.gguf", fixture("unusual.gguf")));
    const expected = json("unusual.json") as Record<string, unknown>;
    assert.ok(Object.keys(expected).length > 15);
    for (const [key, value] of Object.entries(expected)) {
      const got = metadata.get(key);
      assert.deepEqual(typeof got === "bigint" ? String(got) : got, value, key);
    }
    assert.throws(
      () => metadata.number("test.u64"),
      /"test\.u64": expected a smaller number, got "9223372036854775809"/,
    );
    assert.throws(() => metadata.number("test.text"), /expected a number, got "größer als/);
    assert.throws(() => metadata.string("test.u8"), /expected a string, got 200/);
    assert.throws(() => metadata.strings("test.integers"), /expected an array of strings, got an array/);
    assert.throws(() => metadata.numbers("test.texts"), CheckpointError);
    assert.throws(() => metadata.boolean("test.f32"), /expected true or false/);
    assert.equal(metadata.get("test.nothing"), undefined);
  });

  it("an untied head, and a type for each matrix", () => {
    const checkpoint = load(fixture("unusual.gguf"));
    assert.deepEqual(checkpoint.config, UNUSUAL);
    const types: Record<string, StoredDtype> = {};
    for (const [name, { shape, dtype }] of checkpoint.tensors) if (shape.length === 2) types[name] = dtype;
    assert.deepEqual(types, {
      "wte.weight": "q5_1",
      "wpe.weight": "f16",
      "h.0.attn.c_attn.weight": "q4_0",
      "h.0.attn.c_proj.weight": "q4_1",
      "h.0.mlp.c_fc.weight": "q5_0",
      "h.0.mlp.c_proj.weight": "bf16",
      "lm_head.weight": "q8_0",
    });
    // Types that this package also writes are equal bit for bit; the others are as close as their steps allow.
    const values = readAll(checkpoint);
    const exact = roundedWeights(UNUSUAL, (name) => {
      const dtype = types[name] ?? "f32";
      return ["q5_1", "q4_1", "q5_0"].includes(dtype) ? "f32" : (dtype as WeightType);
    });
    for (const [name, expected] of exact) {
      const step = { q5_1: 1 / 31, q4_1: 1 / 15, q5_0: 1 / 16 }[types[name] as string];
      if (step === undefined) assert.deepEqual(values.get(name), expected, name);
      else {
        const range = 2 * Math.max(...expected.map(Math.abs));
        const furthest = Math.max(...expected.map((x, i) => Math.abs(x - values.get(name)![i]!)));
        assert.ok(furthest > 0 && furthest < 0.51 * step * range, `${name}: ${furthest} of ${range}`);
      }
    }
  });

  it("tokens that are unused, special and added", async () => {
    const checkpoint = load(fixture("unusual.gguf"));
    const tokenizer = (await checkpoint.loadTokenizer!())!;
    assert.deepEqual(checkpoint.eosTokenIds, [259]);
    assert.equal(checkpoint.bosTokenId, undefined);
    assert.equal(tokenizer.vocabSize, 261);
    assert.deepEqual([...tokenizer.specialTokens], [["<|endoftext|>", 259]]);
    // The last one is user-defined: found in every text.
    assert.deepEqual([...tokenizer.encode("the<|user|>the")], [258, 260, 258]);
    const all = { allowedSpecial: "all" } as const;
    assert.deepEqual([...tokenizer.encode("the<|user|><|endoftext|>", all)], [258, 260, 259]);
    assert.equal(tokenizer.idToBytes(256).length, 2);
  });
});
