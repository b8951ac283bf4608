/**
 * GPT-Neo in files: models saved by transformers and PEFT compute the same here, and files written here read back the
 * same.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gptNeoConfig } from "../../src/architectures/gpt-neo/config.js";
import { GPT_NEO_HUGGING_FACE } from "../../src/architectures/gpt-neo/formats/huggingface.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { GPT2 } from "../../src/gpt2.js";
import { convertModel } from "../../src/pretrained/convert.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { byteModelIn } from "../generate/models.js";
import { assertClose } from "../helpers/compare.js";
import { GPT_NEO_CASES, GPT_NEO_FIXTURES, GPT_NEO_SEED } from "../helpers/gpt-neo-fixtures.js";
import { readTensorsAt } from "../helpers/peft-fixtures.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { anyBackend } from "../helpers/tiny-run.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-neo-"));
after(() => rmSync(folder, { recursive: true }));

const [SAVED] = GPT_NEO_CASES;
const { config, batch: B, length: T, inputs } = SAVED!;
const fixture = (name: string): string => join(GPT_NEO_FIXTURES, name);
/** Single precision through four layers: three times the largest difference. */
const LOGITS = { relative: 1e-5 };

async function logitsOf(model: GPT2, adapter?: string): Promise<Float32Array> {
  const all = new Float32Array(B * T * config.vocabSize);
  for (let b = 0; b < B; b++) {
    all.set(await model.logits(inputs.slice(b * T, (b + 1) * T), { adapter }), b * T * config.vocabSize);
  }
  return all;
}

async function values(path: string): Promise<Map<string, Float32Array>> {
  const checkpoint = await openCheckpoint(path);
  try {
    assert.deepEqual(checkpoint.config, config);
    const found = new Map<string, Float32Array>();
    for (const [name, tensor] of checkpoint.tensors) {
      const data = new Float32Array(numel(tensor.shape));
      tensor.readInto(data);
      found.set(name, data);
    }
    return found;
  } finally {
    checkpoint.close();
  }
}

const seeded = new Map(Array.from(seededTensors(config, GPT_NEO_SEED), ([{ name }, data]) => [name, data]));

describe("a GPT-Neo that transformers saved", () => {
  for (const name of ["saved", "pickled"]) {
    it(`loads from ${name}, with mask buffers or without, and gives transformers' logits`, async () => {
      assert.deepEqual(await values(fixture(name)), seeded);
      const model = await GPT2.load(fixture(name));
      assertClose("logits", await logitsOf(model), SAVED!.logits, LOGITS);
      await model.dispose();
    });
  }

  it("scores, embeds and continues texts within the local window", async () => {
    const model = await GPT2.load(fixture("saved"));
    const { logprobs } = await model.score(inputs.slice(1, T), { context: inputs.slice(0, 1) });
    const V = config.vocabSize;
    const expected = Array.from({ length: T - 1 }, (_, t) => {
      const row = SAVED!.logits.subarray(t * V, (t + 1) * V);
      const max = Math.max(...row);
      return row[inputs[t + 1]!]! - max - Math.log(row.reduce((sum, x) => sum + Math.exp(x - max), 0));
    });
    assertClose("log-probabilities", logprobs, expected, { relative: 1e-5 });
    const [long, short] = await model.embed([inputs.slice(0, T), inputs.slice(0, 3)], { pooling: "last" });
    assert.equal(long!.length, config.nEmbd);
    const [alone] = await model.embed([inputs.slice(0, 3)], { pooling: "last" });
    assertClose("a text read with another", short!, alone!, { relative: 1e-6 });
    const { prompt, ids } = SAVED!.greedy;
    const { tokens } = await model.complete(prompt, {
      temperature: 0,
      maxNewTokens: ids.length,
      stopAtEndOfText: false,
    });
    assert.deepEqual(tokens, ids);
    await model.dispose();
  });
});

describe("a GPT-Neo written here", () => {
  it("is the same when read back, as a folder and in fewer bits", async () => {
    const path = join(folder, "again");
    await convertModel(fixture("pickled"), path);
    assert.deepEqual(await values(path), seeded);
    const half = join(folder, "half");
    await convertModel(path, half, { dtype: "bf16" });
    assert.equal((await openCheckpoint(half)).dtype, "bf16");
  });

  it("keeps its config.json, whatever the order of its layers", () => {
    for (const { name, json, config } of GPT_NEO_CASES) {
      const written = GPT_NEO_HUGGING_FACE.writeConfig(config);
      assert.deepEqual(GPT_NEO_HUGGING_FACE.readConfig(written, "config.json"), config, name);
      for (const field of ["attention_types", "attention_layers"] as const) {
        if (name.includes("another order") && field === "attention_types") continue;
        assert.deepEqual(written[field], json[field], `${name}: ${field}`);
      }
    }
  });

  it("is refused by formats that hold only GPT-2, before anything is written", async () => {
    for (const to of ["model.gguf", "model.bin"]) {
      await assert.rejects(convertModel(fixture("saved"), join(folder, to)), {
        name: "ConfigError",
        message: /expected gpt2( or bert)?, got gpt-neo.*Hugging Face folder/s,
      });
      await assert.rejects(openCheckpoint(join(folder, to)));
    }
  });
});

describe("a config.json of a GPT-Neo", () => {
  const read = (changes: object) => GPT_NEO_HUGGING_FACE.readConfig({ ...SAVED!.json, ...changes }, "config.json");

  it("has transformers' defaults for missing sizes: those of GPT-Neo 1.3B", () => {
    const { nEmbd, nLayer, nHead, nCtx, vocabSize } = GPT_NEO_HUGGING_FACE.readConfig({}, "config.json");
    assert.deepEqual([nEmbd, nLayer, nHead, nCtx, vocabSize], [2048, 24, 16, 2048, 50257]);
  });

  it("is refused if the types of attention are not one for each layer, counted before they are listed", () => {
    for (const types of [
      [[["global"], 3]],
      [[["global"], 1e9]],
      [[["local"], 4.5]],
      ["global"],
      {},
      [[["sparse"], 4]],
    ]) {
      assert.throws(() => read({ attention_types: types }), { name: "ConfigError" }, JSON.stringify(types));
    }
    assert.throws(() => read({ num_layers: 1e9, attention_types: [[["global"], 1e9]] }), { name: "ConfigError" });
    assert.throws(() => read({ window_size: 0 }), /reading config.json: .*windowSize/);
  });
});

describe("a GPT-Neo in fewer bits", () => {
  /** Whole blocks of every type. */
  const wide = gptNeoConfig({ vocabSize: 257, nCtx: 24, nEmbd: 64, nHead: 4, nLayer: 2, windowSize: 5 });
  /** Rounding of the weights, relative to the largest logit: three times the largest. */
  const ROUNDING = { bf16: 0.03, f16: 5e-3, q8_0: 0.11, q4_0: 1.7 } as const;

  it("computes nearly the same", async () => {
    const backend = await anyBackend();
    const ids = inputs.slice(0, T);
    const exact = await (await byteModelIn("f32", backend, wide, 1)).logits(ids);
    for (const [dtype, relative] of Object.entries(ROUNDING) as [keyof typeof ROUNDING, number][]) {
      const model = await byteModelIn(dtype, backend, wide, 1);
      assert.equal(model.dtype, dtype);
      const logits = await model.logits(ids);
      assert.notDeepEqual(logits, exact);
      assertClose(dtype, logits, exact, { relative });
    }
  });
});

describe("a LoRA adapter of a GPT-Neo by PEFT", () => {
  it("gives PEFT's logits, chosen by request and merged", async () => {
    const expected = readTensorsAt(fixture("adapter"), "expected.safetensors").get("logits")!;
    const model = await GPT2.load(fixture("saved"), { adapters: { it: fixture("adapter") } });
    assertClose("by request", await logitsOf(model, "it"), expected, LOGITS);
    assertClose("without", await logitsOf(model), SAVED!.logits, LOGITS);
    const merged = await GPT2.load(fixture("saved"), { merge: fixture("adapter") });
    assertClose("folded in", await logitsOf(merged), expected, LOGITS);
    await model.dispose();
    await merged.dispose();
  });
});
