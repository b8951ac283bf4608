/** Training an adapter step by step, compared with PEFT and torch's AdamW on the same adapter and batch. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loraTargets } from "../../src/architectures/lora.js";
import type { DeviceArray } from "../../src/backend/backend.js";
import { openAdapter, openCheckpoint } from "../../src/pretrained/node.js";
import { loadWeights } from "../../src/pretrained/weights.js";
import { type LoraSettings, loraSettings } from "../../src/train/lora-settings.js";
import { ModelTrainer } from "../../src/train/model-trainer.js";
import { trainSettings } from "../../src/train/settings.js";
import { testedBackends } from "../generate/models.js";
import { assertClose } from "../helpers/compare.js";
import { PEFT_BASE, PEFT_BATCH, PEFT_FIXTURES, readTensors } from "../helpers/peft-fixtures.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";

const LORA_TARGETS = loraTargets({ architecture: "gpt2" });

const CASES: Readonly<Record<string, LoraSettings>> = {
  "all-linear": loraSettings({ rank: 4, alpha: 8, targets: LORA_TARGETS }),
  extras: loraSettings({ rank: 2, alpha: 4, targets: ["attn.c_attn"], extras: ["norms", "biases"] }),
};

/**
 * AdamW divides by the gradient's size, so where a gradient is only rounding error a weight may move the other way:
 * such weights are few, and no further apart than five steps.
 */
const WEIGHT = 1e-4;

const tested = await testedBackends();

describe("five steps of AdamW", () => {
  for (const backend of tested) {
    for (const [name, lora] of Object.entries(CASES)) {
      it(`${backend.name}: ${name}`, { skip: backend.name === "reference" && LIKE_OTHERS }, async () => {
        const checkpoint = await openCheckpoint(PEFT_BASE);
        const base = await loadWeights(backend, checkpoint.config, checkpoint.tensors.values(), { dtype: "f32" });
        const { B: batchSize, T: seqLength } = PEFT_BATCH;
        const recipe = { lr: 1e-2, minLr: 1e-2, warmupSteps: 0, beta2: 0.999, weightDecay: 0, maxNorm: 0 };
        const settings = trainSettings({ batchSize, seqLength, ...recipe });
        const model = await ModelTrainer.create(backend, checkpoint.config, settings, { lora, base });
        const adapter = openAdapter(`${PEFT_FIXTURES}/${name}`, checkpoint.config);
        for (const [key, tensor] of [...adapter.tensors, ...adapter.replaced]) {
          const values = new Float32Array(tensor.shape.reduce((n, d) => n * d, 1));
          tensor.readInto(values);
          (model.trained.get(key) as DeviceArray).write(values);
        }
        const batch = readTensors("batch.safetensors");
        const targets = Int32Array.from(batch.get("targets")!);
        const counted = targets.filter((target) => target >= 0).length;
        const want = readTensors(name, "expected.safetensors");
        const losses: number[] = [];
        for (let step = 0; step < want.get("losses")!.length; step++) {
          const result = await model.step(step, (_, host) => {
            host.tokens.set(batch.get("tokens")!);
            host.targets.set(targets);
            return counted;
          });
          assert.equal(result!.targets, counted);
          losses.push(result!.loss);
        }
        assertClose("losses", losses, want.get("losses")!, { relative: 1e-4 });
        let [apart, all] = [0, 0];
        for (const [key, array] of model.trained) {
          const got = await array.read();
          for (const [i, value] of want.get(`after.${key}`)!.entries()) {
            // The keys' biases change all scores of a query equally: their gradient is only rounding error.
            if (key.endsWith("c_attn.bias") && i >= 64 && i < 128) continue;
            const difference = Math.abs(got[i]! - value);
            assert.ok(difference < 5 * 2e-2, `${key}[${i}]: ${got[i]}, want ${value}`);
            if (difference > WEIGHT) apart++;
            all++;
          }
        }
        assert.ok(apart < 0.005 * all, `${apart} of ${all} weights apart`);
        for (const [key, array] of base) {
          if (!model.trained.has(key))
            assert.equal(model.weights.get(key), array, "frozen weights are used as they are");
        }
        adapter.close();
        checkpoint.close();
      });
    }
  }
});
