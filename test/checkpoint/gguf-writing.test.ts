import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { layoutGguf } from "../../src/checkpoint/gguf/encode.js";
import { readGguf } from "../../src/checkpoint/gguf/read.js";
import { WEIGHT_TYPES } from "../../src/dtype/dtype.js";
import { CheckpointError, ConfigError, TokenizerError } from "../../src/errors.js";
import { openGguf } from "../../src/pretrained/formats/gguf/read.js";
import { tokenizerToGguf } from "../../src/pretrained/formats/gguf/tokenizer.js";
import { memoryFiles } from "../../src/pretrained/model-files.js";
import type { ModelToSave, SaveOptions } from "../../src/pretrained/model-to-save.js";
import { type NamedTensor, openCheckpoint } from "../../src/pretrained/node.js";
import { saveCheckpoint } from "../../src/pretrained/save.js";
import { loadTokenizer } from "../../src/tokenizer/files.js";
import { gpt2Tokenizer, Tokenizer, type Vocabulary, vocabularyFromMerges } from "../../src/tokenizer/index.js";
import { packageFile } from "../../src/util/package-root.js";
import { byteTokenizer } from "../generate/models.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { SMALL } from "./small-model.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-gguf-"));
after(() => rmSync(folder, { recursive: true }));

/** The models of test/fixtures/gguf/converted-TYPE.gguf and, with a head of its own, another. */
const CONFIG = gpt2Config({ vocabSize: 320, nCtx: 48, nEmbd: 32, nLayer: 2, nHead: 4, nInner: 128 });
const UNTIED = gpt2Config({ vocabSize: 12, nCtx: 4, nEmbd: 32, nLayer: 1, nHead: 2, tieWordEmbeddings: false });
const SEED = 71;

const fixture = (name: string): string => packageFile(`test/fixtures/gguf/${name}`);

function seeded(config: GPT2Config): NamedTensor[] {
  return Array.from(seededTensors(config, SEED), ([{ name, shape }, data]) => ({ name, shape, data }));
}

async function write(name: string, model: ModelToSave, options: SaveOptions = {}): Promise<Uint8Array> {
  const path = join(folder, name);
  assert.deepEqual(await saveCheckpoint(path, model, options), [path]);
  return new Uint8Array(readFileSync(path));
}

const read = (bytes: Uint8Array) => readGguf(memorySource("written.gguf", bytes));
const load = (bytes: Uint8Array) => openGguf("written.gguf", memoryFiles("written.gguf", { "written.gguf": bytes }));

/** Names, types and bytes of all tensors. */
function contents(bytes: Uint8Array): Map<string, unknown> {
  const { tensors } = read(bytes);
  return new Map(
    [...tensors.values()].map(({ name, dtype, shape, source, offset, byteLength }) => {
      return [name, { dtype, shape, bytes: Buffer.from(source.bytes(offset, byteLength)).toString("base64") }];
    }),
  );
}

const converted = await openCheckpoint(fixture("converted-f32.gguf"));
const tokenizer = await converted.loadTokenizer!();
const model = { config: CONFIG, tensors: seeded(CONFIG), tokenizer };

describe("files written", () => {
  for (const dtype of ["f32", "f16", "bf16", "q8_0"] as const) {
    it(`${dtype}: every tensor and the whole tokenizer as llama.cpp's converter writes them`, async () => {
      const ours = await write(`${dtype}.gguf`, { ...model, metadata: { name: "seeded" } }, { dtype });
      const theirs = new Uint8Array(readFileSync(fixture(`converted-${dtype}.gguf`)));
      const sorted = (file: Uint8Array) => new Map([...contents(file)].sort(([a], [b]) => (a < b ? -1 : 1)));
      assert.deepEqual(sorted(ours), sorted(theirs));
      const [a, b] = [read(ours).metadata, read(theirs).metadata];
      const same = [...b.keys()].filter((key) => key !== "general.size_label" && !key.endsWith("unknown_token_id"));
      assert.ok(same.length > 15);
      for (const key of same) assert.deepEqual([a.typeOf(key), a.get(key)], [b.typeOf(key), b.get(key)], key);
    });
  }

  for (const dtype of WEIGHT_TYPES) {
    it(`${dtype}: the same whatever the order and source of the tensors`, async () => {
      const first = await write("first.gguf", model, { dtype });
      const again = await write("again.gguf", { ...model, tensors: [...model.tensors].reverse() }, { dtype });
      assert.deepEqual(again, first);
      const file = await openCheckpoint(fixture("converted-f32.gguf"));
      const fromFile = await write("from-file.gguf", { ...model, tensors: file.tensors.values() }, { dtype });
      file.close();
      assert.deepEqual(fromFile, first);
    });
  }

  it("from a Hugging Face folder, whose matrices are transposed", async () => {
    const source = await openCheckpoint(packageFile("test/fixtures/tiny"));
    const twin = await openCheckpoint(packageFile("test/fixtures/tiny/model.bin"));
    const { config } = source;
    const transposed = await write("t.gguf", { config, tensors: source.tensors.values() }, { dtype: "q4_0" });
    const straight = await write("s.gguf", { config, tensors: twin.tensors.values() }, { dtype: "q4_0" });
    assert.deepEqual(transposed, straight);
    source.close();
    twin.close();
  });

  it("existing blocks are copied, others made from decoded values", async () => {
    const source = await openCheckpoint(fixture("converted-q8_0.gguf"));
    const { config } = source;
    const copied = await write("copied.gguf", { config, tensors: source.tensors.values() }, { dtype: "q8_0" });
    const theirs = contents(new Uint8Array(readFileSync(fixture("converted-q8_0.gguf"))));
    assert.deepEqual(Object.fromEntries(contents(copied)), Object.fromEntries(theirs));
    const decoded = load(await write("decoded.gguf", { config, tensors: source.tensors.values() }));
    for (const [name, tensor] of source.tensors) {
      const [a, b] = [new Float32Array(tensor.shape.reduce((n, d) => n * d)), decoded.tensors.get(name)!];
      tensor.readInto(a);
      assert.deepEqual(b.data, new Uint8Array(a.buffer), name);
    }
    source.close();
  });

  it("an untied head", async () => {
    const file = load(await write("untied.gguf", { config: UNTIED, tensors: seeded(UNTIED) }, { dtype: "q8_0" }));
    assert.deepEqual(file.config, UNTIED);
    assert.equal(file.tensors.get("lm_head.weight")?.dtype, "q8_0");
  });

  it("rows that do not divide into blocks are held in f16", async () => {
    const file = load(await write("small.gguf", { config: SMALL, tensors: seeded(SMALL) }, { dtype: "q8_0" }));
    assert.deepEqual(file.config, SMALL);
    const types = new Set([...file.tensors.values()].map(({ dtype }) => dtype));
    assert.deepEqual([...types].sort(), ["f16", "f32"]);
  });

  it("tensors are padded to the usual alignment, the last one too", async () => {
    const bytes = await write("aligned.gguf", { config: SMALL, tensors: seeded(SMALL) });
    for (const { offset } of read(bytes).tensors.values()) assert.equal(offset % 32, 0);
    assert.equal(bytes.length % 32, 0);
    assert.equal(read(bytes).metadata.typeOf("general.alignment"), undefined);
  });

  it("report their progress", async () => {
    const steps: number[] = [];
    const bytes = await write("progress.gguf", model, { onProgress: (done, total) => steps.push(done / total) });
    assert.ok(bytes.length > 0 && steps.length >= model.tensors.length);
    assert.deepEqual(
      [...steps].sort((a, b) => a - b),
      steps,
    );
    assert.ok(steps.at(-1)! > 0.98 && steps.at(-1)! <= 1, `${steps.at(-1)}`);
  });

  it("do not exist after an interruption", async () => {
    const controller = new AbortController();
    const options = { signal: controller.signal, onProgress: () => controller.abort() };
    await assert.rejects(saveCheckpoint(join(folder, "aborted.gguf"), model, options), { name: "AbortError" });
    assert.ok(!readdirSync(folder).some((name) => name.includes("aborted")));
  });
});

describe("tokenizers written", () => {
  const tensorsOf = (vocabSize: number) => {
    const config = gpt2Config({ vocabSize, nCtx: 1, nEmbd: 1, nHead: 1, nLayer: 1, nInner: 1 });
    return { config, tensors: seeded(config) };
  };
  async function reread(tokenizer: Tokenizer, vocabSize = tokenizer.vocabSize): Promise<Tokenizer> {
    const file = load(await write("tokenizer.gguf", { ...tensorsOf(vocabSize), tokenizer }, { dtype: "f16" }));
    assert.deepEqual(file.eosTokenIds, [tokenizer.endOfText]);
    return (await file.loadTokenizer!())!;
  }

  it("GPT-2's own", async () => {
    // The same object as the package's: it is recognized, not rebuilt from the texts.
    assert.equal(await reread(await gpt2Tokenizer()), await gpt2Tokenizer());
  });

  it("GPT-2's own, padded", { skip: LIKE_OTHERS }, async () => {
    const { vocabulary } = await gpt2Tokenizer();
    const again = await reread(await gpt2Tokenizer(), 50304);
    assert.notEqual(again, await gpt2Tokenizer());
    assert.deepEqual(again.vocabulary, vocabulary);
  });

  it("the default model's", async () => {
    const tokenizer = await loadTokenizer(packageFile("models/default"));
    assert.deepEqual((await reread(tokenizer)).vocabulary, tokenizer.vocabulary);
    assert.deepEqual((await reread(tokenizer, tokenizer.vocabSize + 7)).vocabulary, tokenizer.vocabulary);
  });

  it("bytes only, several special tokens", async () => {
    const vocabulary = vocabularyFromMerges(Uint32Array.of(72, 73), ["<|endoftext|>", "<|a b|>", "日本"]);
    const again = await reread(new Tokenizer(vocabulary));
    assert.deepEqual(again.vocabulary, vocabulary);
    assert.deepEqual([...again.encode("日本", { allowedSpecial: "all" })], [259]);
  });

  it("added tokens of every kind, a template, another start and end", async () => {
    const { vocabulary } = await loadTokenizer(packageFile("models/default"));
    const bare = new Tokenizer(vocabulary);
    const [the] = bare.encode("the");
    const kinds: Vocabulary["added"] = [
      { id: the!, text: "the", special: false },
      { id: vocabulary.size - 1, text: "<|endoftext|>", special: true },
    ];
    const extras = { template: { before: [5], after: [6] }, startOfText: 5, endOfText: 6, addPrefixSpace: true };
    const whole = { ...vocabulary, added: kinds, ...extras };
    const again = await reread(new Tokenizer(whole));
    assert.deepEqual(again.vocabulary, whole);
    const text = "other <|endoftext|>";
    assert.deepEqual(again.encode(text), new Tokenizer(whole).encode(text));
    assert.ok(again.encode(text).includes(the!));
  });

  it("GPT-2's own with a user-defined token, or with one before each text", { skip: LIKE_OTHERS }, async () => {
    const { vocabulary } = await gpt2Tokenizer();
    const userDefined = { ...vocabulary, added: [{ id: 1169, text: "the", special: false }, ...vocabulary.added] };
    const again = await reread(new Tokenizer(userDefined));
    assert.deepEqual([...again.encode("another")], [5733, 1169, 81]);
    const started = { ...vocabulary, template: { before: [50256], after: [] } };
    assert.deepEqual([...(await reread(new Tokenizer(started))).encode("the")], [50256, 1169]);
  });

  it("refused: what GGUF cannot express", () => {
    const vocabulary = vocabularyFromMerges(new Uint32Array(0));
    const refuse = (change: Partial<Vocabulary>, pattern: RegExp): void =>
      assert.throws(
        () => tokenizerToGguf({ vocabulary: { ...vocabulary, ...change }, vocabSize: 257, eosTokenIds: [] }),
        pattern,
      );
    const end = vocabulary.added[0]!;
    refuse({ added: [{ ...end, lstrip: true }] }, /"<\|endoftext\|>": expected none with lstrip/);
    refuse({ added: [{ ...end, singleWord: true }] }, /none with singleWord/);
    refuse({ unknown: { id: 3, fused: false } }, /unknown token: expected none.*got id 3/);
    refuse({ template: { before: [3], after: [] } }, /template: expected at most the model's start.*got 3/);
  });

  it("none", async () => {
    const file = load(await write("none.gguf", { ...tensorsOf(9), eosTokenIds: [3, 5], bosTokenId: 2 }));
    assert.equal(file.loadTokenizer, undefined);
    assert.deepEqual(file.eosTokenIds, [3, 5]);
    assert.equal(file.bosTokenId, 2);
  });

  it("refused: more tokens than the model has, repeated tokens", async () => {
    const path = join(folder, "refused.gguf");
    const larger = saveCheckpoint(path, { ...tensorsOf(256), tokenizer: byteTokenizer() });
    await assert.rejects(larger, /refused\.gguf: expected a tokenizer of at most 256 tokens.*got 257/);
    const twice = vocabularyFromMerges(new Uint32Array(0), ["A"]);
    assert.throws(() => tokenizerToGguf({ vocabulary: twice, vocabSize: 257, eosTokenIds: [] }), TokenizerError);
  });
});

describe("refused, with the existing file unchanged", () => {
  const path = join(folder, "kept.gguf");
  const tensors = seeded(CONFIG);
  const changed = (name: string, change: Partial<NamedTensor>): NamedTensor[] =>
    tensors.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor));
  const withValue = (name: string, value: number): NamedTensor[] => {
    const data = tensors.find((tensor) => tensor.name === name)!.data.slice();
    data[77 % data.length] = value;
    return changed(name, { data });
  };
  const cases: [what: string, model: Partial<ModelToSave>, options: SaveOptions, message: RegExp][] = [
    ["NaN", { tensors: withValue("ln_f.bias", Number.NaN) }, {}, /tensor ln_f\.bias: expected finite values, got NaN/],
    [
      "a value beyond f16",
      { tensors: withValue("h.0.attn.c_proj.weight", 70000) },
      { dtype: "f16" },
      /h\.0\.attn\.c_proj\.weight: expected values that f16 can hold, got 70000\. Save as f32/,
    ],
    [
      "a scale beyond f16",
      { tensors: withValue("wte.weight", 1e9) },
      { dtype: "q8_0" },
      /wte\.weight: expected values that q8_0 can hold/,
    ],
    ["a tensor too few", { tensors: tensors.slice(1) }, {}, /tensor wte\.weight: expected its values, got none/],
    [
      "a tensor twice",
      { tensors: [...tensors, tensors[0]!] },
      {},
      /"wte\.weight": expected each tensor of the model once/,
    ],
    ["an unknown tensor", { tensors: changed("wpe.weight", { name: "x" }) }, {}, /"x": expected each tensor/],
    [
      "another shape",
      { tensors: changed("wpe.weight", { shape: [32, 48] }) },
      {},
      /"wpe\.weight": expected shape \[48, 32\], got \[32, 48\]/,
    ],
  ];
  for (const [what, model, options, message] of cases) {
    it(what, async () => {
      writeFileSync(path, "before");
      const error = await saveCheckpoint(path, { config: CONFIG, tensors, ...model }, options).then(
        () => assert.fail("written"),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof CheckpointError, String(error));
      assert.match(error.message, message);
      assert.equal(readFileSync(path, "utf8"), "before");
      assert.ok(!readdirSync(folder).some((name) => name.startsWith(".kept")), "a temporary file is left");
    });
  }

  it("attention that llama.cpp's GPT-2 does not compute", async () => {
    const config = gpt2Config({ ...CONFIG, scaleAttnByInverseLayerIdx: true });
    await assert.rejects(saveCheckpoint(path, { config, tensors }), ConfigError);
    await assert.rejects(
      saveCheckpoint(path, { config: gpt2Config({ ...CONFIG, scaleAttnWeights: false }), tensors }),
      ConfigError,
    );
  });

  it("names that are too long or repeated", () => {
    const spec = { dtype: "f32", shape: [1] } as const;
    assert.throws(() => layoutGguf([], [{ ...spec, name: "ä".repeat(32) }]), /at most 63 bytes/);
    assert.throws(
      () =>
        layoutGguf(
          [],
          [
            { ...spec, name: "a" },
            { ...spec, name: "a" },
          ],
        ),
      /tensor a: expected a unique name/,
    );
    assert.throws(
      () =>
        layoutGguf(
          [
            ["a", "u32", 1],
            ["a", "u32", 1],
          ],
          [],
        ),
      /metadata a: expected a unique name/,
    );
  });
});
