/** Heads for classification and regression: losses, gradients and steps equal those of transformers and PEFT. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { openAdapter, openCheckpoint } from "../../src/pretrained/node.js";
import { loadWeights } from "../../src/pretrained/weights.js";
import { loraSettings } from "../../src/train/lora-settings.js";
import { ModelTrainer } from "../../src/train/model-trainer.js";
import { trainSettings } from "../../src/train/settings.js";
import { allBackends } from "../helpers/bound-model.js";
import {
  CLASSIFIER_BATCH,
  CLASSIFIER_FIXTURES,
  type ClassifierFixture,
  expectedOf,
  fillTexts,
} from "../helpers/classifier-fixtures.js";
import { assertClose } from "../helpers/compare.js";

const { B, T } = CLASSIFIER_BATCH;
const SETTINGS = trainSettings({
  batchSize: B,
  seqLength: T,
  warmupSteps: 0,
  lr: 1e-2,
  minLr: 1e-2,
  beta2: 0.999,
  weightDecay: 0,
  maxNorm: 0,
});
/** Single precision through two layers and back: three times the largest difference found. */
const FORWARD = { relative: 3e-6 };
const GRADIENTS = { relative: 2e-5, floor: 1e-2 };
/** Steps of Adam divide by the gradient's own size, so small ones move their parameters as far as large ones. */
const STEPS = { relative: 2e-4 };

async function trainerOf(backend: Backend, fixture: ClassifierFixture): Promise<ModelTrainer> {
  const base = await openCheckpoint(`${CLASSIFIER_FIXTURES}/${fixture === "adapter" ? "model" : fixture}`);
  const adapter = fixture === "adapter" ? openAdapter(`${CLASSIFIER_FIXTURES}/adapter`, base.config) : undefined;
  try {
    const lora = loraSettings({ rank: 2, alpha: 6, targets: ["attn.c_attn"] });
    const adaptation = adapter && { lora, base: await loadWeights(backend, base.config, base.tensors.values()) };
    const head = base.head!;
    const model = await ModelTrainer.create(backend, base.config, SETTINGS, adaptation, head);
    const { tensors } = adapter?.head ?? head;
    for (const [name, tensor] of [...(adapter ?? base).tensors, ...tensors]) {
      const values = new Float32Array(model.trained.get(name)!.length);
      tensor.readInto(values);
      model.trained.get(name)!.write(values);
    }
    return model;
  } finally {
    base.close();
    adapter?.close();
  }
}

for (const fixture of ["model", "regressor", "adapter"] as const) {
  describe(`${fixture} of transformers`, () => {
    const fill = fillTexts(fixture === "regressor");
    const expected = expectedOf(fixture);
    for (const [name, make] of allBackends()) {
      it(`has the same logits and loss, gradients and steps on ${name}`, async () => {
        const model = await trainerOf(await make(), fixture);
        const { outcomes, loss } = (await model.evaluate(1, fill))!;
        const logits = outcomes!.flatMap(({ scores }) => scores.flat());
        assertClose("logits", logits, expected.get("logits")!, FORWARD);
        assertClose("loss", [loss], expected.get("loss")!, FORWARD);
        await model.zeroGradients();
        const { batches, targets } = model.fillStep(0, fill);
        await model.accumulate(0, 0, batches[0]!, targets);
        assert.equal(model.layout.offsets.size, [...expected.keys()].filter((key) => key.startsWith("grad.")).length);
        for (const [tensor, { offset, size }] of model.layout.offsets) {
          const gradient = await model.grads.read(offset, size);
          assertClose(tensor, gradient, expected.get(`grad.${tensor}`)!, GRADIENTS);
        }
        const losses: number[] = [];
        for (let step = 0; step < 5; step++) losses.push((await model.step(step, fill))!.loss);
        assertClose("losses", losses, expected.get("losses")!, STEPS);
      });
    }
  });
}

it("packed texts are read as if each were alone, and unused positions do not count", async () => {
  const model = await trainerOf(await referenceBackend(), "model");
  const packed = (await model.evaluate(1, fillTexts(false)))!.outcomes!;
  const apart = await model.evaluate(1, (pass, batch) => {
    const whole = {
      ...batch,
      tokens: batch.tokens.slice(),
      targets: batch.targets.slice(),
      first: batch.first.slice(),
    };
    const counted = fillTexts(false)(pass, whole);
    let at = 0;
    for (let b = 0; b < B; b++) {
      const end = whole.targets.findIndex((target, n) => n >= at && target >= 0) + 1;
      batch.tokens.set(whole.tokens.subarray(at, end), b * T);
      for (let n = 0; n < T; n++) [batch.positions[b * T + n], batch.first[b * T + n]] = [n, b * T];
      batch.targets[b * T + end - at - 1] = whole.targets[end - 1]!;
      at = end;
    }
    return counted;
  });
  assert.deepEqual(
    apart!.outcomes!.map(({ expected }) => expected),
    packed.map(({ expected }) => expected),
  );
  const flat = (outcomes: typeof packed) => outcomes.flatMap(({ scores }) => scores.flat());
  assertClose("scores", flat(apart!.outcomes!), flat(packed), FORWARD);
});
