/** The arithmetic of training steps: passes, seeds, backends. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { initialTensors } from "../../src/architectures/init.js";
import type { Backend } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { trainFlopsPerToken } from "../../src/train/flops.js";
import type { FillBatch } from "../../src/train/host-batch.js";
import { ModelTrainer, type StepResult } from "../../src/train/model-trainer.js";
import { type TrainSettings, trainSettings } from "../../src/train/settings.js";
import { assertClose } from "../helpers/compare.js";
import { seededTokens } from "../helpers/seeded-weights.js";
import { anyBackend, nativeOrReason } from "../helpers/tiny-run.js";

const CONFIG = gpt2Config({ vocabSize: 61, nCtx: 11, nEmbd: 20, nLayer: 2, nHead: 2, nInner: 50 });
const T = CONFIG.nCtx;

/** Sequence number i, without end: random tokens. */
function sequence(i: number): Int32Array {
  return seededTokens(CONFIG, 5, i, T + 1);
}

/** The sequences in order, B to a pass. */
function inOrder(B: number, modulo = Number.POSITIVE_INFINITY): FillBatch {
  return (pass, { tokens, targets }) => {
    for (let b = 0; b < B; b++) {
      const window = sequence((pass * B + b) % modulo);
      tokens.set(window.subarray(0, T), b * T);
      targets.set(window.subarray(1), b * T);
    }
    return B * T;
  };
}

interface Run {
  readonly backend?: Backend;
  readonly config?: GPT2Config;
  readonly settings: Partial<TrainSettings>;
  readonly steps: number;
  readonly fill?: FillBatch;
}

async function train({ backend, config = CONFIG, settings: given, steps, fill }: Run) {
  const settings = trainSettings({ seqLength: T, warmupSteps: 0, minLr: 0, ...given });
  const model = await ModelTrainer.create(backend ?? (await anyBackend()), config, settings);
  for (const [name, values] of initialTensors(config, settings)) model.weights.get(name)!.write(values);
  const results: StepResult[] = [];
  for (let i = 0; i < steps; i++) {
    results.push((await model.step(i, fill ?? inOrder(settings.batchSize)))!);
  }
  return { model, results, losses: results.map(({ loss }) => loss), params: await model.params.read() };
}

/**
 * Rounding errors grow along a run; after ten steps of Adam, which divides by the gradient's own size, weights in
 * single precision (6e-8) differ by about this much.
 */
const TEN_STEPS = { relative: 2e-4 };

describe("gradient accumulation", () => {
  it("gives the same from four passes as from one with the same sequences", async () => {
    const common = { batchTokens: 4 * T, lr: 1e-3, steps: 10 };
    const one = await train({ settings: { ...common, batchSize: 4 }, steps: 10 });
    const four = await train({ settings: { ...common, batchSize: 1 }, steps: 10 });
    assertClose("losses", four.losses, one.losses, { relative: 1e-5 });
    assertClose(
      "gradient norms",
      four.results.map((r) => r.gradNorm),
      one.results.map((r) => r.gradNorm),
      TEN_STEPS,
    );
    assertClose("parameters", four.params, one.params, TEN_STEPS);
  });

  it("fills the batch of each pass once a step", async () => {
    const filled: number[] = [];
    const fill: FillBatch = (pass, batch) => {
      filled.push(pass);
      return inOrder(1)(pass, batch);
    };
    const { results } = await train({ settings: { batchSize: 1, batchTokens: 3 * T }, steps: 2, fill });
    assert.deepEqual(filled, [0, 1, 2, 3, 4, 5]);
    assert.equal(results[0]!.targets, 3 * T);
  });

  it("refuses sequences longer than the model's context", async () => {
    const settings = { ...trainSettings({ seqLength: T }), seqLength: T + 1, batchTokens: T + 1 };
    await assert.rejects(ModelTrainer.create(await anyBackend(), CONFIG, settings), {
      name: "UsageError",
      message: /seqLength: expected at most 11, the model's context, got 12/,
    });
  });

  it("counts passes, and stops between them without changing the parameters", async () => {
    const settings = trainSettings({ seqLength: T, batchSize: 1, batchTokens: 3 * T, lr: 1 });
    const model = await ModelTrainer.create(await anyBackend(), CONFIG, settings);
    for (const [name, values] of initialTensors(CONFIG, settings)) model.weights.get(name)!.write(values);
    const before = await model.params.read();
    const stop = new AbortController();
    const passes: number[] = [];
    const onPass = (n: number) => {
      passes.push(n);
      if (n === 2) stop.abort();
    };
    assert.equal(await model.step(0, inOrder(1), { signal: stop.signal, onPass }), undefined);
    assert.deepEqual(passes, [1, 2]);
    assert.deepEqual(await model.params.read(), before);
    assert.ok((await model.m.read()).every((x) => x === 0));
  });
});

describe("dropout", () => {
  const settings = { batchSize: 2, batchTokens: 4 * T, lr: 1e-3, dropout: 0.2 };

  it("is a function of the seed", async () => {
    const [a, b] = [await train({ settings, steps: 3 }), await train({ settings, steps: 3 })];
    assert.deepEqual(a.losses, b.losses);
    assert.deepEqual(a.params, b.params);
  });

  it("differs between seeds, steps and passes", async () => {
    // Without learning and with the same sequence again, only the masks differ.
    const still = { ...settings, batchSize: 1, batchTokens: T, lr: 0 };
    const same: FillBatch = (_, batch) => inOrder(1)(0, batch);
    const { losses } = await train({ settings: still, steps: 3, fill: same });
    assert.equal(new Set(losses).size, 3);
    const model = await ModelTrainer.create(await anyBackend(), CONFIG, trainSettings({ ...still, seqLength: T }));
    for (const [name, values] of initialTensors(CONFIG, { seed: 1 })) model.weights.get(name)!.write(values);
    const { batches, targets } = model.fillStep(0, same);
    const sum = (pass: number) => model.accumulate(0, pass, batches[0]!, targets);
    const sums = [await sum(0), await sum(1), await sum(0)];
    assert.notEqual(sums[0], sums[1]);
    assert.equal(sums[0], sums[2]);
    assert.equal(sums[0]! / T, losses[0]);
  });

  it("is not part of an evaluation", async () => {
    const { model } = await train({ settings: { ...settings, lr: 0 }, steps: 1 });
    const plain = await train({ settings: { ...settings, lr: 0, dropout: 0, batchTokens: 2 * T }, steps: 1 });
    const evaluated = await model.evaluate(1, inOrder(2));
    assertClose("loss", [evaluated!.loss], plain.losses, { relative: 1e-6 });
  });
});

describe("an optimizer step", () => {
  it("with learning rate 0 changes nothing but the moments", async () => {
    const { params, model } = await train({ settings: { batchSize: 2, lr: 0 }, steps: 3 });
    const start = await train({ settings: { batchSize: 2, lr: 0 }, steps: 0 });
    assert.deepEqual(params, start.params);
    assert.ok((await model.v.read()).some((x) => x > 0));
  });

  it("memorizes two sequences", async () => {
    const settings = { batchSize: 2, lr: 1e-2, weightDecay: 0, steps: 150, minLr: 1e-3, warmupSteps: 10 };
    const { losses } = await train({ settings, steps: 150, fill: inOrder(2, 2) });
    assert.ok(losses[0]! > 4 && losses.at(-1)! < 0.01, `from ${losses[0]} to ${losses.at(-1)}`);
  });

  it("gives the same on the native and the reference backend", async (t) => {
    const native = await nativeOrReason({ threads: 2 });
    if (typeof native === "string") return t.skip(native);
    const settings = { batchSize: 2, batchTokens: 4 * T, lr: 1e-3, dropout: 0.1, minLr: 1e-4, steps: 10 };
    const fast = await train({ backend: native, settings, steps: 10 });
    const slow = await train({ backend: await referenceBackend({ precision: "f64" }), settings, steps: 10 });
    assertClose("losses", fast.losses, slow.losses, { relative: 1e-5 });
    assertClose("parameters", fast.params, slow.params, TEN_STEPS);
  });

  it("decays matrices and nothing else", async () => {
    // Without gradients only decay changes a weight: by lr · weightDecay times its value in every step.
    const settings = trainSettings({ seqLength: T, batchSize: 1, lr: 0.1, weightDecay: 0.5, warmupSteps: 0 });
    const model = await ModelTrainer.create(await anyBackend(), CONFIG, settings);
    model.params.write(new Float32Array(model.layout.size).fill(2));
    await model.zeroGradients();
    await model.update(0);
    for (const [name, array] of model.weights) {
      const want = name.endsWith(".bias") || /ln_(1|2|f)/.test(name) ? 2 : Math.fround(2 * (1 - 0.1 * 0.5));
      const values = await array.read();
      assertClose(name, values, new Float32Array(values.length).fill(want), { relative: 2 ** -23 });
    }
  });
});

it("evaluation counts only filled positions", async () => {
  const { model } = await train({ settings: { batchSize: 2, lr: 0 }, steps: 0 });
  const half: FillBatch = (pass, batch) => {
    inOrder(2)(0, batch);
    if (pass === 0) return 2 * T;
    batch.targets.fill(-1, T);
    return T;
  };
  const all = await model.evaluate(2, half);
  const [both, first] = [await model.evaluate(1, inOrder(2)), await model.evaluate(1, (_, batch) => half(1, batch))];
  assert.equal(all!.tokens, 3 * T);
  assert.ok(Math.abs(all!.loss - (2 * both!.loss + first!.loss) / 3) < 1e-12);
  const stop = AbortSignal.abort();
  assert.equal(await model.evaluate(2, half, stop), undefined);
});

it("operations of training are 6 for each multiplying parameter and 12 C for each key seen", () => {
  const config = gpt2Config("gpt2");
  const matrices = 12 * 12 * 768 * 768 + 50257 * 768;
  const blocks = matrices - 50257 * 768;
  const attention = 12 * 768 * 512.5;
  assert.equal(trainFlopsPerToken(config, 1024), 6 * matrices + 12 * attention);
  assert.equal(trainFlopsPerToken(config, 1024, { recompute: true }), 6 * matrices + 2 * blocks + 16 * attention);
  assert.equal(trainFlopsPerToken(config, 1024, { frozen: true }), 4 * matrices + 12 * attention);
});
