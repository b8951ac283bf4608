/** A tiny GPT-2 against another program's results (test/fixtures/tiny/README.md), from both of its files. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { ModelConfig } from "../../src/architectures/config.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { ModelTrainer } from "../../src/train/model-trainer.js";
import { trainSettings } from "../../src/train/settings.js";
import { packageFile } from "../../src/util/package-root.js";
import { allBackends, BoundModel, mean } from "../helpers/bound-model.js";
import { assertClose } from "../helpers/compare.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

const FOLDER = packageFile("test/fixtures/tiny");

/**
 * The expected values were computed in float32 (6e-8) with another order of sums. Each tolerance is two to three times the
 * largest difference of any backend, in parentheses, relative to the largest value of a tensor: the double-precision
 * reference has the same difference, so it is the expected values' own rounding.
 */
const LOGITS = { relative: 3e-6 }; // 1.2e-6
const GRADIENT = { relative: 6e-6 }; // 3.0e-6
const LOSS = { relative: 1e-7 }; // 2.7e-8
/**
 * AdamW divides a gradient by its own size, so where a gradient is only rounding error, the step has full size and any
 * sign: ten steps of 1e-3 can move such weights 2e-2 apart. They are few (0.09%), and hardly affect the losses.
 */
const TRAJECTORY = { losses: { relative: 2e-6 }, weight: 1e-4, apart: 0.002 }; // losses 4.5e-7

/** llm.c's order of parameters: each kind across all layers. */
const LLMC_ORDER = [
  "wte.weight",
  "wpe.weight",
  ...["ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias"],
  ...["ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"],
  "ln_f.weight",
  "ln_f.bias",
];

interface Expected {
  readonly logits: Float32Array;
  readonly gradients: ReadonlyMap<string, Float32Array>;
  readonly losses: Float32Array;
  readonly parameters: ReadonlyMap<string, Float32Array>;
}

function readWords(file: string): ArrayBuffer {
  return new Uint8Array(readFileSync(`${FOLDER}/${file}`)).buffer;
}

function readExpected(config: ModelConfig): Expected {
  const words = readWords("expected.bin");
  const [B, T, V, P, S] = new Int32Array(words, 0, 5) as unknown as [number, number, number, number, number];
  let offset = 20;
  const next = (count: number): Float32Array => {
    offset += 4 * count;
    return new Float32Array(words, offset - 4 * count, count);
  };
  const tensors = (flat: Float32Array): Map<string, Float32Array> => {
    const sizes = new Map(tensorTable(config).map(({ name, shape }) => [name, numel(shape)]));
    const found = new Map<string, Float32Array>();
    let at = 0;
    for (const kind of LLMC_ORDER) {
      const names = /^(ln_f|w.e)/.test(kind)
        ? [kind]
        : Array.from({ length: config.nLayer }, (_, i) => `h.${i}.${kind}`);
      for (const name of names) found.set(name, flat.subarray(at, (at += sizes.get(name)!)));
    }
    assert.equal(at, flat.length, "parameters");
    return found;
  };
  assert.equal(V, config.vocabSize);
  return { logits: next(B * T * V), gradients: tensors(next(P)), losses: next(S), parameters: tensors(next(P)) };
}

function readBatch(): { B: number; T: number; tokens: Int32Array; targets: Int32Array } {
  const words = new Int32Array(readWords("tokens.bin"));
  const [B, T] = words as unknown as [number, number];
  return { B, T, tokens: words.subarray(2, 2 + B * T), targets: words.subarray(2 + B * T) };
}

async function load(file: string): Promise<{ config: ModelConfig; weights: Map<string, Float32Array> }> {
  const checkpoint = await openCheckpoint(`${FOLDER}/${file}`);
  const weights = new Map<string, Float32Array>();
  for (const [name, tensor] of checkpoint.tensors) {
    const values = new Float32Array(numel(tensor.shape));
    tensor.readInto(values);
    weights.set(name, values);
  }
  checkpoint.close();
  return { config: checkpoint.config, weights };
}

for (const [i, [name, makeBackend]] of allBackends().entries()) {
  // Both files have the same weights; each backend reads one of them.
  for (const file of i === 0 ? ["model.safetensors", "model.bin"] : ["model.safetensors"]) {
    describe(`the tiny model from ${file}, on ${name}`, () => {
      const { B, T, tokens, targets } = readBatch();

      it("gives every logit, the loss and every gradient", async () => {
        const { config, weights } = await load(file);
        const want = readExpected(config);
        const model = new BoundModel(await makeBackend(), config, { B, T });
        model.setWeights(weights);
        model.setBatch(tokens, targets);
        assertClose("logits", await model.logits(), want.logits, LOGITS, [B, T, config.vocabSize]);
        assertClose("loss", [mean(await model.losses())], [want.losses[0]!], LOSS);
        assertClose("loss while training", [mean(await model.train())], [want.losses[0]!], LOSS);
        for (const { name, shape } of tensorTable(config)) {
          assertClose(`gradient of ${name}`, await model.gradient(name), want.gradients.get(name)!, GRADIENT, shape);
        }
      });

      // From the same weights; the reference, the slowest, in `npm run test:all`.
      if (file !== "model.safetensors" || (i === 0 && !TESTING_ALL)) return;

      it("follows the ten steps of AdamW", async () => {
        const { config, weights } = await load(file);
        const want = readExpected(config);
        const recipe = { lr: 1e-3, minLr: 1e-3, warmupSteps: 0, beta2: 0.999, weightDecay: 0, maxNorm: 0 };
        const trainer = await ModelTrainer.create(
          await makeBackend(),
          config,
          trainSettings({ batchSize: B, seqLength: T, ...recipe }),
        );
        for (const [name, values] of weights) trainer.weights.get(name)!.write(values);
        const losses: number[] = [];
        for (let step = 0; step < want.losses.length; step++) {
          const result = await trainer.step(step, (_, batch) => {
            batch.tokens.set(tokens);
            batch.targets.set(targets);
            return B * T;
          });
          losses.push(result!.loss);
        }
        assertClose("losses", losses, want.losses, TRAJECTORY.losses);
        let [apart, all] = [0, 0];
        for (const [name, array] of trainer.weights) {
          const got = await array.read();
          for (const [i, value] of want.parameters.get(name)!.entries()) {
            const difference = Math.abs(got[i]! - value);
            assert.ok(difference < 2e-2, `${name}[${i}]: ${got[i]}, want ${value}`);
            if (difference > TRAJECTORY.weight) apart++;
            all++;
          }
        }
        assert.ok(
          apart <= TRAJECTORY.apart * all,
          `${apart} of ${all} weights differ by more than ${TRAJECTORY.weight}`,
        );
      });
    });
  }
}
