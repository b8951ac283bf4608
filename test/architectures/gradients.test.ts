/** The whole model's gradients: against central differences in float64, and between backends, at awkward sizes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ConfigFields, modelConfig, tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import type { Backend } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { RandomStream } from "../../src/util/random.js";
import { allBackends, type BatchShape, BoundModel, mean } from "../helpers/bound-model.js";
import { assertClose } from "../helpers/compare.js";
import { seededTensors, seededTokens } from "../helpers/seeded-weights.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";

interface Case {
  readonly name: string;
  readonly config: ConfigFields;
  readonly shape: BatchShape;
}

/** No size is a multiple of a vector's width unless stated. */
const CASES: readonly Case[] = [
  {
    name: "two heads, two sequences",
    config: { vocabSize: 19, nCtx: 7, nEmbd: 10, nLayer: 2, nHead: 2, nInner: 23 },
    shape: { B: 2, T: 5 },
  },
  {
    name: "one head",
    config: { vocabSize: 13, nCtx: 6, nEmbd: 7, nLayer: 1, nHead: 1 },
    shape: { B: 1, T: 4 },
  },
  {
    name: "sequences of one token",
    config: { vocabSize: 11, nCtx: 5, nEmbd: 6, nLayer: 2, nHead: 3 },
    shape: { B: 3, T: 1 },
  },
  {
    name: "sequences as long as the context",
    config: { vocabSize: 17, nCtx: 9, nEmbd: 9, nLayer: 1, nHead: 3 },
    shape: { B: 2, T: 9 },
  },
  {
    name: "a context of one token, heads of one channel, two words",
    config: { vocabSize: 2, nCtx: 1, nEmbd: 3, nLayer: 1, nHead: 3, nInner: 1 },
    shape: { B: 2, T: 1 },
  },
  {
    name: "one more than a vector",
    config: { vocabSize: 33, nCtx: 18, nEmbd: 17, nLayer: 1, nHead: 1, nInner: 65 },
    shape: { B: 1, T: 17 },
  },
  {
    name: "whole vectors",
    config: { vocabSize: 64, nCtx: 16, nEmbd: 32, nLayer: 1, nHead: 2 },
    shape: { B: 2, T: 16 },
  },
  {
    name: "exact GELU, a head of its own, scores scaled by layer",
    config: {
      ...{ vocabSize: 15, nCtx: 7, nEmbd: 6, nLayer: 2, nHead: 2, nInner: 11 },
      ...{ activation: "gelu", tieWordEmbeddings: false, scaleAttnByInverseLayerIdx: true },
    },
    shape: { B: 2, T: 5 },
  },
  {
    name: "GPT-Neo, sequences longer than the local window",
    config: {
      ...{ architecture: "gpt-neo", vocabSize: 19, nCtx: 12, nEmbd: 10, nLayer: 3, nHead: 2, nInner: 23 },
      ...{ windowSize: 3 },
    },
    shape: { B: 2, T: 11 },
  },
  {
    name: "GPT-Neo, local layers first, exact GELU, a head of its own",
    config: {
      ...{ architecture: "gpt-neo", vocabSize: 15, nCtx: 18, nEmbd: 17, nLayer: 2, nHead: 1, windowSize: 5 },
      ...{ activation: "gelu", tieWordEmbeddings: false, attentionLayers: ["local", "global"] },
    },
    shape: { B: 1, T: 17 },
  },
];

const SEED = 11;
const KEY = 12345;

function bound(backend: Backend, test: Case, dropout: number): BoundModel {
  const config = modelConfig(test.config);
  const { B, T } = test.shape;
  const model = new BoundModel(backend, config, { B, T, dropout });
  for (const [{ name }, values] of seededTensors(config, SEED)) model.setWeights([[name, values]]);
  model.setBatch(seededTokens(config, SEED, 1, B * T), seededTokens(config, SEED, 2, B * T));
  return model;
}

/**
 * Central differences of width h err by h² |f'''| / 6 and by ε |f| / h: 1e-10 each at h = 1e-5 where the third
 * derivative is about one. Sharp attention has larger ones; the largest error, relative, is 1.1e-8.
 */
const H = 1e-5;
const DIFFERENCE = { relative: 5e-8, floor: 1e-2 };
/**
 * Directions of length 1 in which each tensor is moved as a whole: one wrong element changes the slopes of all of them.
 */
const DIRECTIONS = TESTING_ALL ? 3 : 1;

/** Random, of length 1. */
function direction(random: RandomStream, size: number): Float64Array {
  const values = Float64Array.from({ length: size }, () => random.uniform() - 0.5);
  const length = Math.hypot(...values);
  return values.map((x) => x / length);
}

const inner = (a: ArrayLike<number>, b: Float64Array): number => b.reduce((sum, x, i) => sum + x * a[i]!, 0);

describe("every parameter's gradient is the slope of the loss", () => {
  for (const [i, test] of CASES.entries()) {
    // Without dropout, with it, and so on; all of both in `npm run test:all`.
    for (const dropout of TESTING_ALL ? [0, 0.25] : [i % 2 === 0 ? 0 : 0.25]) {
      it(`${test.name}${dropout > 0 ? ", with dropout" : ""}`, async () => {
        const model = bound(await referenceBackend({ precision: "f64" }), test, dropout);
        const random = new RandomStream(SEED);
        const loss = async (): Promise<number> => mean(await model.train(KEY));
        await loss();
        const gradients = new Map<string, ArrayLike<number>>();
        for (const { name } of tensorTable(model.config)) gradients.set(name, await model.gradient(name));
        for (const { name, shape } of tensorTable(model.config)) {
          const [got, want]: [number[], number[]] = [[], []];
          const array = model.parameter(name);
          const values = Float64Array.from(await array.read());
          const lossAt = async (step: number, along: Float64Array): Promise<number> => {
            array.write(values.map((value, i) => value + step * along[i]!));
            return loss();
          };
          for (let n = 0; n < DIRECTIONS; n++) {
            const along = direction(random, numel(shape));
            want.push(((await lossAt(H, along)) - (await lossAt(-H, along))) / (2 * H));
            got.push(inner(gradients.get(name)!, along));
          }
          array.write(values);
          assertClose(`gradient of ${name}`, got, want, DIFFERENCE);
        }
      });
    }
  }
});

/** Single precision through one or two layers, relative to a tensor's largest value: three times the largest, 3.5e-6. */
const SINGLE = { relative: 1e-5, floor: 1e-6 };

describe("every backend computes the same losses and gradients", () => {
  const computed = new Map<string, Promise<{ losses: ArrayLike<number>; gradients: Map<string, ArrayLike<number>> }>>();

  /** The reference's results in double precision, computed once. */
  function expected(test: Case, dropout: number) {
    const key = `${test.name} ${dropout}`;
    let results = computed.get(key);
    if (!results) computed.set(key, (results = compute(test, dropout)));
    return results;
  }

  async function compute(test: Case, dropout: number) {
    const model = bound(await referenceBackend({ precision: "f64" }), test, dropout);
    const losses = await model.train(KEY);
    const gradients = new Map<string, ArrayLike<number>>();
    for (const { name } of tensorTable(model.config)) gradients.set(name, await model.gradient(name));
    return { losses, gradients };
  }

  for (const [name, makeBackend] of allBackends().slice(1)) {
    for (const dropout of [0, 0.25]) {
      it(`${name}${dropout > 0 ? ", with dropout" : ""}`, { skip: dropout === 0 && LIKE_OTHERS }, async () => {
        for (const test of CASES) {
          const want = await expected(test, dropout);
          const got = bound(await makeBackend(), test, dropout);
          assertClose(`${test.name}: losses`, await got.train(KEY), want.losses, SINGLE);
          for (const { name, shape } of tensorTable(got.config)) {
            const what = `${test.name}: gradient of ${name}`;
            assertClose(what, await got.gradient(name), want.gradients.get(name)!, SINGLE, shape);
          }
        }
      });
    }
  }
});

it("losses without gradients are those of training without dropout", async () => {
  for (const [name, makeBackend] of TESTING_ALL ? allBackends() : allBackends().slice(-1)) {
    for (const test of CASES) {
      const model = bound(await makeBackend(), test, 0);
      assert.deepEqual(await model.losses(), await model.train(), `${test.name}, ${name}`);
    }
  }
});
