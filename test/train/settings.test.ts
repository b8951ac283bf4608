import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../../src/errors.js";
import { accumulation, learningRate, resumedSettings, trainSettings } from "../../src/train/settings.js";

describe("settings", () => {
  it("fill in defaults: the end of the cosine at a tenth of the peak, a step of one pass", () => {
    const settings = trainSettings({ lr: 3e-4, batchSize: 8, seqLength: 128 });
    assert.equal(settings.minLr, 3e-4 / 10);
    assert.equal(settings.batchTokens, 1024);
    assert.equal(accumulation(settings), 1);
    assert.equal(accumulation(trainSettings({ batchTokens: 2 ** 19 })), 128);
  });

  it("are the recipe for GPT-2 124M by default", () => {
    const { lr, minLr, beta1, beta2, weightDecay, maxNorm } = trainSettings();
    assert.deepEqual([lr, beta1, beta2, weightDecay, maxNorm], [6e-4, 0.9, 0.95, 0.1, 1]);
    assert.ok(Math.abs(minLr - 6e-5) < 1e-18);
  });

  it("of a resumed run are kept unless given", () => {
    const saved = trainSettings({ batchSize: 4, batchTokens: 8192, steps: 100, lr: 1e-3 });
    assert.deepEqual(resumedSettings(saved, {}, 10), saved);
    const longer = resumedSettings(saved, { steps: 200, batchSize: 2, lr: 1e-3 }, 10);
    assert.deepEqual(longer, { ...saved, steps: 200, batchSize: 2 });
    assert.throws(() => resumedSettings(saved, { seed: 2 }, 10), UsageError);
    assert.throws(() => resumedSettings(saved, { batchSize: 3 }, 10), /batchTokens: expected a multiple/);
    assert.equal(resumedSettings(saved, { steps: 10 }, 10).steps, 10);
  });
});

describe("the default warm-up", () => {
  it("is a tenth of the steps, at most 100, so that short runs reach the peak and the end of the cosine", () => {
    for (const [steps, warmupSteps] of [
      [1000, 100],
      [5000, 100],
      [50, 5],
      [20, 2],
      [1, 1],
      [0, 0],
    ] as const) {
      assert.equal(trainSettings({ steps }).warmupSteps, warmupSteps, `${steps} steps`);
    }
    assert.equal(trainSettings().warmupSteps, 100);
    assert.equal(trainSettings({ steps: 50, warmupSteps: 30 }).warmupSteps, 30);
    for (const steps of [10, 20, 50, 300]) {
      const settings = trainSettings({ steps, lr: 1 });
      const rates = Array.from({ length: steps }, (_, step) => learningRate(settings, step));
      assert.equal(Math.max(...rates), 1, `the peak of ${steps} steps`);
      assert.ok(rates.at(-1)! < 0.2, `the end of ${steps} steps: ${rates.at(-1)}`);
    }
  });
});

describe("the learning rate", () => {
  const settings = trainSettings({ lr: 1e-3, minLr: 1e-4, warmupSteps: 10, steps: 110 });
  const close = (step: number, want: number) => {
    const got = learningRate(settings, step);
    assert.ok(Math.abs(got - want) < 1e-15, `step ${step}: ${got}, want ${want}`);
  };

  it("rises linearly, reaching the peak with the last step of the warm-up", () => {
    close(0, 1e-4);
    close(4, 5e-4);
    close(9, 1e-3);
  });

  it("falls along half a cosine", () => {
    close(10, 1e-3);
    close(35, 1e-4 + 9e-4 * 0.5 * (1 + Math.SQRT1_2));
    close(60, 5.5e-4);
    close(85, 1e-4 + 9e-4 * 0.5 * (1 - Math.SQRT1_2));
    close(110, 1e-4);
    close(1000, 1e-4);
  });

  it("falls linearly to zero", () => {
    const line = trainSettings({ schedule: "linear", lr: 1, warmupSteps: 10, steps: 110 });
    assert.equal(line.minLr, 0);
    for (const [step, want] of [
      [9, 1],
      [10, 1],
      [35, 0.75],
      [60, 0.5],
      [109, 0.01],
      [110, 0],
    ] as const) {
      assert.ok(Math.abs(learningRate(line, step) - want) < 1e-15, `step ${step}: ${learningRate(line, step)}`);
    }
  });

  it("stays at the peak until the warm-down of a trapezoid, wherever that ends", () => {
    const given = { schedule: "trapezoid", lr: 1, warmupSteps: 10, steps: 100, warmdownSteps: 40 } as const;
    const rates = (steps: number) => {
      const settings = trainSettings({ ...given, steps });
      return Array.from({ length: 100 }, (_, step) => learningRate(settings, step));
    };
    const [short, long] = [rates(100), rates(100_000)];
    assert.deepEqual(short.slice(0, 61), long.slice(0, 61));
    assert.deepEqual([long[60], long[99], short[60], short[80]], [1, 1, 1, 0.5]);
    assert.ok(Math.abs(short[99]! - 1 / 40) < 1e-15);
    assert.equal(trainSettings({ schedule: "trapezoid", steps: 501 }).warmdownSteps, 101);
    // A warm-down longer than the steps after the warm-up begins right there.
    const steep = trainSettings({ ...given, warmdownSteps: 1000 });
    assert.deepEqual([learningRate(steep, 9), learningRate(steep, 10), learningRate(steep, 55)], [1, 1, 0.5]);
  });

  it("has a name for each schedule", () => {
    assert.throws(
      () => trainSettings({ schedule: "step" as "linear" }),
      /schedule: expected cosine or linear or trapezoid, got step/,
    );
    assert.throws(() => trainSettings({ optimizer: "sgd" as "muon" }), /optimizer: expected adamw or muon, got sgd/);
  });

  it("is the peak at once without a warm-up, and constant where the end is the peak", () => {
    assert.equal(learningRate(trainSettings({ warmupSteps: 0, lr: 1e-3 }), 0), 1e-3);
    const constant = trainSettings({ warmupSteps: 0, lr: 1e-3, minLr: 1e-3, steps: 7 });
    for (let step = 0; step < 9; step++) assert.equal(learningRate(constant, step), 1e-3);
  });
});
