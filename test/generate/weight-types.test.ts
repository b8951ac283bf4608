import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { ComputeOptions } from "../../src/architectures/decode-program.js";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import type { Backend } from "../../src/backend/backend.js";
import { chooseBackend } from "../../src/backend/choose.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { isIntegerType, WEIGHT_TYPES, type WeightType } from "../../src/dtype/dtype.js";
import { UsageError } from "../../src/errors.js";
import { GPT2 } from "../../src/gpt2.js";
import { type FileAccess, openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import { loadWeights } from "../../src/pretrained/weights.js";
import { Trainer } from "../../src/train/trainer.js";
import { assertClose } from "../helpers/compare.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { TESTING_ALL, THREADS } from "../helpers/tested-isas.js";
import { logSoftmax } from "./full-forward.js";
import { BYTES, backends, byteModelIn, storedTensors, testedBackends } from "./models.js";

/** Rows of whole blocks, and no size a multiple of a larger vector. */
const CONFIG = gpt2Config({ vocabSize: BYTES, nCtx: 24, nEmbd: 96, nHead: 3, nLayer: 2, nInner: 160 });
const IDS = Array.from({ length: CONFIG.nCtx }, (_, t) => (89 * t + 7) % BYTES);

const SEED = 3;
const tensors = Array.from(seededTensors(CONFIG, SEED), ([{ name, shape }, data]) => ({ name, shape, data }));

const modelIn = (dtype: WeightType, backend: Backend) => byteModelIn(dtype, backend, CONFIG, SEED);

/**
 * Relative to the largest logit: roundings of single precision. Integer types also round activations, to 127 steps each
 * way: where one lies on the border between two steps, backends may take either, which the layers above amplify.
 */
const toleranceOf = (dtype: WeightType) => ({ relative: isIntegerType(dtype) ? 0.01 : 4e-6 });

/**
 * Bounds of the logits' difference from f32, relative to the largest logit; the lower bound shows that the dtype is in
 * use.
 */
const LOSS: Record<Exclude<WeightType, "f32">, readonly [least: number, most: number]> = {
  f16: [1e-4, 0.01],
  bf16: [1e-3, 0.05],
  q8_0: [5e-3, 0.1],
  q4_0: [0.05, 0.6],
};

/** The precisions in which a model may compute. */
const COMPUTED = [
  [{ kv: "f16" }, 1e-6, 0.002],
  [{ compute: "bf16" }, 1e-4, 0.05],
  [{ kv: "f16", compute: "bf16" }, 1e-4, 0.05],
] as const satisfies readonly (readonly [options: ComputeOptions, least: number, most: number])[];

/** Of two types that are read alike, `npm test` takes one. */
const TESTED = TESTING_ALL ? WEIGHT_TYPES : (["f32", "bf16", "q8_0"] as const);

for (const dtype of TESTED) {
  const exact = await modelIn(dtype, await referenceBackend({ precision: "f64" }));
  const expected = await exact.logits(IDS);
  const models = await Promise.all((await backends()).map((backend) => modelIn(dtype, backend)));

  describe(`weights in ${dtype}`, () => {
    const V = CONFIG.vocabSize;
    const tolerance = toleranceOf(dtype);

    if (dtype !== "f32") {
      it("change the results only slightly", async () => {
        const f32 = await (await modelIn("f32", await referenceBackend({ precision: "f64" }))).logits(IDS);
        const scale = f32.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        const change = expected.reduce((most, x, i) => Math.max(most, Math.abs(x - f32[i]!)), 0) / scale;
        const [least, most] = LOSS[dtype];
        assert.ok(change > least && change < most, `${change} of the largest logit`);
      });
    }

    it("in f16 and bf16 may be multiplied in bf16, and keys and values held in f16, on every backend", async () => {
      const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      for (const backend of await testedBackends()) {
        for (const [options, least, most] of COMPUTED) {
          const model = await byteModelIn(dtype, backend, CONFIG, SEED, options);
          const logits = await model.logits(IDS);
          const change = logits.reduce((sum, x, i) => Math.max(sum, Math.abs(x - expected[i]!)), 0) / scale;
          const name = `${backend.name} ${JSON.stringify(options)}: ${change} of the largest logit`;
          const rounds = !isIntegerType(dtype); // which rounds more by itself
          assert.ok(change < (rounds ? most : 0.06) && (change > least || !rounds), name);
        }
      }
    });

    if (isIntegerType(dtype)) {
      it("stay with integer products for few tokens, and are multiplied in bf16 for many on request", async () => {
        for (const backend of await testedBackends()) {
          const [integers, bf16] = await Promise.all(
            (["f32", "bf16"] as const).map((compute) => byteModelIn(dtype, backend, CONFIG, SEED, { compute })),
          );
          const few = IDS.slice(0, 8);
          assert.deepEqual(await bf16!.logits(few), await integers!.logits(few), backend.name);
          assert.notDeepEqual(await bf16!.logits(IDS), await integers!.logits(IDS), backend.name);
        }
      });
    }

    for (const model of models) {
      const { backend } = model;

      it(`give the reference's logits on ${backend.name}`, async () => {
        assert.equal(model.dtype, dtype);
        assertClose("logits", await model.logits(IDS), expected, tolerance);
      });

      it(`score and generate on ${backend.name} according to those logits`, async () => {
        const { logprobs } = await model.score(IDS.slice(1), { context: IDS.slice(0, 1) });
        const want = logprobs.map((_, t) => logSoftmax(expected.subarray(t * V, (t + 1) * V))[IDS[t + 1]!]!);
        assertClose("log-probabilities", logprobs, want, tolerance);
        // Token by token with the cache: each token is the likeliest by the logits of one run over all tokens before
        // it.
        const prompt = IDS.slice(0, 4);
        const { tokens } = await model.complete(prompt, { maxNewTokens: 20, temperature: 0, stopAtEndOfText: false });
        const logits = await model.logits([...prompt, ...tokens.slice(0, -1)]);
        for (const [i, token] of tokens.entries()) {
          const row = logits.subarray((prompt.length - 1 + i) * V, (prompt.length + i) * V);
          const best = row.reduce((most, x) => Math.max(most, x), -Infinity);
          assert.ok(row[token]! >= best - tolerance.relative * Math.abs(best), `token ${i} on ${backend.name}`);
        }
      });
    }
  });
}

const folder = mkdtempSync(join(tmpdir(), "gpt2-types-"));
after(() => rmSync(folder, { recursive: true }));
const path = (name: string): string => join(folder, name);
await saveCheckpoint(path("hf"), { config: CONFIG, tensors });
for (const dtype of WEIGHT_TYPES) await saveCheckpoint(path(`${dtype}.gguf`), { config: CONFIG, tensors }, { dtype });
const chosen = await chooseBackend({ threads: THREADS });

describe("model files in other types", () => {
  const bytesOf = async (path: string, options: Parameters<typeof loadWeights>[3], access: FileAccess = {}) => {
    const checkpoint = await openCheckpoint(path, access);
    const weights = await loadWeights(chosen.backend, checkpoint.config, checkpoint.tensors.values(), options);
    const entries = [...weights].map(
      async ([name, array]) => [name, array.dtype, (await array.read()).slice()] as const,
    );
    return (await Promise.all(entries)).sort(([a], [b]) => (a < b ? -1 : 1));
  };

  for (const dtype of WEIGHT_TYPES) {
    it(`are the same bits in ${dtype}, used in place, copied or converted`, async () => {
      const copied = await bytesOf(path(`${dtype}.gguf`), { access: {} });
      assert.ok(copied.some(([, type]) => type === dtype));
      assert.deepEqual(
        await bytesOf(path("hf"), { dtype, access: {} }),
        copied,
        "converted from a transposed f32 file",
      );
      const { backend } = chosen;
      if (!backend.capabilities.mappedFiles) return;
      let used = 0;
      const inPlace: typeof backend.inPlace = (...range) => {
        used++;
        return backend.inPlace!(...range);
      };
      assert.deepEqual(await bytesOf(path(`${dtype}.gguf`), { access: { inPlace } }, backend), copied, "in place");
      assert.equal(used, copied.length, "every tensor");
      assert.deepEqual(await bytesOf(path("hf"), { dtype }, backend), copied, "converted by other threads");
    });
  }

  it("load in their own dtype, or as requested", async () => {
    const options = { backend: "reference" } as const;
    assert.equal((await GPT2.load(path("q4_0.gguf"), options)).dtype, "q4_0");
    assert.equal((await GPT2.load(path("hf"), options)).dtype, "f32");
    assert.equal((await GPT2.load(path("hf"), { ...options, dtype: "bf16" })).dtype, "bf16");
    assert.equal((await GPT2.load(path("q8_0.gguf"), { ...options, dtype: "f32" })).dtype, "f32");
  });

  it("refuse an unknown type", async () => {
    const dtype = "q5_0" as WeightType;
    const message = /dtype: expected f32 or f16 or bf16 or q8_0 or q4_0, got q5_0/;
    await assert.rejects(GPT2.load(path("hf"), { dtype }), { name: "UsageError", message });
    await assert.rejects(loadWeights(await referenceBackend(), CONFIG, storedTensors(CONFIG, SEED), { dtype }), {
      name: "UsageError",
      message,
    });
  });

  it("are trained in f32 only", async () => {
    const run = { backend: await referenceBackend(), data: path("data"), out: path("run"), from: path("hf") };
    await assert.rejects(Trainer.create({ ...run, dtype: "q8_0" }), (error: Error) => {
      return error instanceof UsageError && /training: dtype: expected f32.*got q8_0.*LoRA/.test(error.message);
    });
  });
});
