import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { type BackendChoice, chooseBackend } from "../../src/backend/choose.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { type MappedRange, mappedSource } from "../../src/checkpoint/byte-source.js";
import { storedTensor } from "../../src/checkpoint/stored-tensor.js";
import type { WeightType } from "../../src/dtype/dtype.js";
import { CheckpointError, TokenizerError, UsageError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { type SaveOptions, saveCheckpoint } from "../../src/pretrained/node.js";
import { loadWeights } from "../../src/pretrained/weights.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { vocabularyFromMerges } from "../../src/tokenizer/vocabulary.js";
import { assertClose } from "../helpers/compare.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { fullForward } from "./full-forward.js";
import { backends, byteTokenizer } from "./models.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-load-"));
after(() => rmSync(folder, { recursive: true }));

/** llm.c's format has no other inner width than 4C. */
const CONFIG = gpt2Config({ vocabSize: 257, nCtx: 12, nEmbd: 10, nHead: 2, nLayer: 2 });

async function save(name: string, config: GPT2Config, options: SaveOptions = {}): Promise<string> {
  const path = join(folder, name);
  const tensors = Array.from(seededTensors(config, 1), ([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(path, { config, tensors }, options);
  return path;
}

const huggingFace = await save("hf", CONFIG);
await saveTokenizer(byteTokenizer(), huggingFace);
const llmc = await save("model.bin", CONFIG, { format: "llm.c" });
const bf16 = await save("bf16", CONFIG, { dtype: "bf16" });
const choices = (await backends()).map(({ name }) => name as BackendChoice);

describe("loading", () => {
  const ids = [1, 2, 3];

  for (const backend of choices) {
    for (const [format, path] of Object.entries({ "a Hugging Face folder": huggingFace, "a llm.c file": llmc })) {
      it(`${format} onto ${backend} computes what the weights say`, async () => {
        const model = await GPT2.load(path, { backend, threads: 1 });
        assert.equal(model.backend.name, backend);
        assert.deepEqual(model.config, CONFIG);
        assertClose("logits", await model.logits(ids), await fullForward(CONFIG, 1, ids), { relative: 2e-6 });
      });
    }

    it(`bf16 onto ${backend} rounds the weights and nothing else`, async () => {
      const model = await GPT2.load(bf16, { backend, threads: 1 });
      // bf16 has 8 bits: the weights' relative error is up to 2^-9, and adds up over layers.
      assertClose("logits", await model.logits(ids), await fullForward(CONFIG, 1, ids), { relative: 0.02 });
    });
  }

  it("takes the tokenizer beside the weights, for llm.c too", async () => {
    const options = { backend: "reference" } as const;
    const model = await GPT2.load(huggingFace, options);
    assert.equal(model.tokenizer?.vocabSize, 257);
    assert.equal(model.endOfText, 256);
    assert.equal((await GPT2.load(llmc, options)).tokenizer, undefined);
    copyFileSync(join(huggingFace, "tokenizer.json"), join(folder, "tokenizer.json"));
    assert.equal((await GPT2.load(llmc, options)).tokenizer?.vocabSize, 257);
    rmSync(join(folder, "tokenizer.json"));
    for (const name of ["vocab.json", "merges.txt"]) copyFileSync(join(huggingFace, name), join(bf16, name));
    assert.equal((await GPT2.load(bf16, options)).tokenizer?.vocabSize, 257);
  });

  it("uses GPT-2's tokenizer if the vocabulary has its size, and leaves padding ids unused", async () => {
    const config = gpt2Config({ vocabSize: 50304, nCtx: 4, nEmbd: 2, nHead: 1, nLayer: 1 });
    const model = await GPT2.load(await save("padded", config), { backend: "reference" });
    assert.equal(model.endOfText, 50256);
    const { tokens } = await model.complete("Hello", {
      maxNewTokens: 5,
      temperature: 5,
      topK: 0,
      stopAtEndOfText: false,
    });
    assert.ok(tokens.every((id) => id <= 50256));
  });

  it("refuses a tokenizer of more tokens than the model has", async () => {
    const config = gpt2Config({ vocabSize: 100, nCtx: 4, nEmbd: 2, nHead: 1, nLayer: 1 });
    const path = await save("small", config);
    await saveTokenizer(byteTokenizer(), path);
    await assert.rejects(GPT2.load(path, { backend: "reference" }), (error: Error) => {
      return error instanceof TokenizerError && /expected at most 100 tokens.*got 257/.test(error.message);
    });
  });

  it("leaves out special tokens for which the model has no rows, such as an added [PAD]", async () => {
    const config = gpt2Config({ vocabSize: 257, nCtx: 4, nEmbd: 2, nHead: 1, nLayer: 1 });
    const path = await save("padless", config);
    const tokenizer = new Tokenizer(vocabularyFromMerges(new Uint32Array(0), ["<|endoftext|>", "[PAD]", "[SEP]"]));
    await saveTokenizer(tokenizer, path);
    const model = await GPT2.load(path, { backend: "reference" });
    assert.equal(model.tokenizer!.vocabSize, 257);
    assert.deepEqual([...model.tokenizer!.specialTokens], [["<|endoftext|>", 256]]);
    assert.equal(model.tokenizer!.decode(model.tokenizer!.encode("a [PAD] b")), "a [PAD] b");
    const gguf = join(folder, "padless.gguf");
    assert.equal((await convertModel(path, gguf)).tokenizer, 257);
    assert.equal((await GPT2.load(gguf, { backend: "reference", tokenizer })).tokenizer!.vocabSize, 257);
  });

  it("names what is missing", async () => {
    await assert.rejects(GPT2.load(join(folder, "nothing")), CheckpointError);
    await assert.rejects(GPT2.load(huggingFace, { backend: "gpu" as "native" }), UsageError);
  });

  it("stops when aborted", async () => {
    await assert.rejects(GPT2.load(huggingFace, { signal: AbortSignal.abort() }), { name: "AbortError" });
  });
});

describe("weights on a backend", () => {
  const values = new Map(Array.from(seededTensors(CONFIG, 2), ([{ name }, data]) => [name, data]));
  /** One mapped file for each. */
  const tensors = tensorTable(CONFIG).map(({ name, shape }) => {
    const data = values.get(name)!;
    const bytes = (offset: number, length: number) => new Uint8Array(data.buffer, offset, length);
    const source = mappedSource(name, { size: data.byteLength, bytes });
    return storedTensor({ name, dtype: "f32", shape, storedAs: "out_in", source, offset: 0 });
  });

  it("are used in place if possible, and read otherwise", async () => {
    const backend = await referenceBackend();
    const taken: number[] = [];
    const inPlace = (dtype: WeightType, { file, offset, length }: MappedRange) => {
      if (length === 4 * CONFIG.nEmbd) return undefined;
      taken.push(length / 4);
      const array = backend.alloc(dtype, length / 4);
      array.write(new Float32Array(file.bytes(offset, length).buffer));
      return array;
    };
    const weights = await loadWeights(backend, CONFIG, tensors, { access: { inPlace } });
    assert.equal(taken.length, tensors.filter(({ shape }) => numel(shape) !== CONFIG.nEmbd).length);
    for (const { name, shape } of tensors) {
      assert.equal(weights.get(name)!.length, numel(shape));
      assert.deepEqual(Float32Array.from(await weights.get(name)!.read()), values.get(name)!);
    }
  });

  it("are converted to what the backend computes in", async () => {
    const weights = await loadWeights(await referenceBackend({ precision: "f64" }), CONFIG, tensors);
    assert.deepEqual([...(await weights.get("wpe.weight")!.read())], [...values.get("wpe.weight")!]);
  });
});

describe("the choice of a backend", () => {
  it("is the option's, else GPT2_BACKEND's, else what is available", async () => {
    assert.equal((await chooseBackend({ backend: "reference" })).backend.name, "reference");
    process.env.GPT2_BACKEND = "reference";
    assert.equal((await chooseBackend()).backend.name, "reference");
    process.env.GPT2_BACKEND = "nonsense";
    await assert.rejects(chooseBackend(), /GPT2_BACKEND: expected auto or native or wasm or reference, got nonsense/);
    delete process.env.GPT2_BACKEND;
    const { backend, fallback } = await chooseBackend({ threads: 1 });
    assert.equal(backend.capabilities.mappedFiles, fallback === undefined, "native, or why not");
    assert.notEqual(backend.name, "reference", "WebAssembly is there at least");
    const wasm = await chooseBackend({ backend: "wasm", threads: 1 });
    assert.deepEqual([wasm.backend.name, wasm.fallback], ["wasm", undefined]);
  });
});
