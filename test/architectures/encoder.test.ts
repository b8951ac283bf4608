/**
 * An architecture unlike GPT-2 (test/helpers/toy-encoder.ts) in the encoder, the trainer and the engine, which contain
 * nothing about it.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { initialTensors } from "../../src/architectures/init.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import type { Backend, DeviceArray } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { prepareLabelled } from "../../src/data/examples/prepare-labelled.js";
import { Encoder } from "../../src/generate/encoder.js";
import { Engine } from "../../src/generate/engine.js";
import { type FillBatch, hostBatch } from "../../src/train/host-batch.js";
import { ModelTrainer } from "../../src/train/model-trainer.js";
import { trainSettings } from "../../src/train/settings.js";
import { TrainingData } from "../../src/train/training-data.js";
import { RandomStream } from "../../src/util/random.js";
import { byteTokenizer, testedBackends } from "../generate/models.js";
import { assertClose } from "../helpers/compare.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { registerToyEncoder } from "../helpers/toy-encoder.js";

const config = registerToyEncoder().complete({});
const TEXTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5]];

function weightsOn(backend: Backend): Map<string, DeviceArray> {
  return new Map(
    Array.from(seededTensors(config, 1), ([{ name, shape }, values]) => {
      const array = backend.alloc("f32", numel(shape));
      array.write(values);
      return [name, array];
    }),
  );
}

describe("a bidirectional encoder", () => {
  it("reads each text as if it were alone, completely, on every backend", async () => {
    const exact = await referenceBackend({ precision: "f64" });
    const oracle = new Encoder(exact, config, weightsOn(exact));
    for (const backend of await testedBackends()) {
      const encoder = new Encoder(backend, config, weightsOn(backend));
      for (const pooling of ["first", "mean", "last"] as const) {
        const together = await encoder.encode(TEXTS, { pooling });
        for (const [i, text] of TEXTS.entries()) {
          const [alone] = await oracle.encode([text], { pooling });
          assertClose(`text ${i} on ${backend.name}, ${pooling}`, together[i]!, alone!, { relative: 2e-6 });
        }
      }
      // The first token sees the last one: another ending gives another vector.
      const [a, b] = await encoder.encode(
        [
          [3, 1, 4],
          [3, 1, 5],
        ],
        { pooling: "first" },
      );
      assert.ok(a!.some((x, i) => Math.abs(x - b![i]!) > 1e-3));
    }
  });

  it("cannot generate", async () => {
    const backend = await referenceBackend();
    assert.throws(() => new Engine(backend, config, weightsOn(backend)), {
      name: "UsageError",
      message: /a model that reads from left to right, got toy encoder/,
    });
  });

  /** Two texts of four tokens, of which each token is to be told from the others' embeddings. */
  const fill: FillBatch = (_, { tokens, targets, first, positions }) => {
    tokens.set([3, 1, 4, 1, 5, 9, 2, 6]);
    targets.set([3, -1, 4, -1, -1, 9, -1, 6]);
    for (let n = 0; n < 8; n++) [first[n], positions[n]] = [n - (n % 4), n % 4];
    return 4;
  };
  const settings = trainSettings({ batchSize: 2, seqLength: 4, steps: 40, lr: 3e-2, warmupSteps: 2, weightDecay: 0 });

  it("is trained by the trainer, with gradients that are the slopes of the loss", async () => {
    const trainer = await ModelTrainer.create(await referenceBackend({ precision: "f64" }), config, settings);
    for (const [{ name }, values] of seededTensors(config, 1)) trainer.trained.get(name)!.write(values);
    const { batches } = trainer.fillStep(0, fill);
    const loss = async (): Promise<number> => {
      await trainer.zeroGradients();
      return trainer.accumulate(0, 0, batches[0]!, 1);
    };
    await loss();
    const gradients = (await trainer.grads.read()).slice();
    const random = new RandomStream(5);
    const H = 1e-5;
    for (const { name, shape } of tensorTable(config)) {
      const { offset } = trainer.layout.offsets.get(name)!;
      const [got, want]: [number[], number[]] = [[], []];
      for (let probe = 0; probe < 4; probe++) {
        const i = random.below(numel(shape));
        const array = trainer.trained.get(name)!;
        const [value] = await array.read(i, 1);
        array.write([value! + H], i);
        const up = await loss();
        array.write([value! - H], i);
        const down = await loss();
        array.write([value!], i);
        got.push(gradients[offset + i]!);
        want.push((up - down) / (2 * H));
      }
      assertClose(`gradient of ${name}`, got, want, { relative: 2e-7, floor: 1e-1 });
    }
  });

  it("learns the labels of texts from their first tokens", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gpt2-toy-"));
    const lines = ["aa", "b", "abc"].map((text, i) => JSON.stringify({ text, label: i === 1 ? "x" : "y" }));
    writeFileSync(join(folder, "texts.jsonl"), lines.join("\n"));
    const out = join(folder, "data");
    const wide = { ...config, vocabSize: 257 };
    const tokenizer = byteTokenizer();
    await prepareLabelled([join(folder, "texts.jsonl")], { out, kind: "classification", tokenizer, valFraction: 0 });
    const data = TrainingData.open(out, wide, trainSettings({ batchSize: 2, seqLength: 4, valEvery: 0 }));
    const batch = hostBatch(8);
    batch.targets.fill(-1);
    assert.equal(data.fillTraining(0, batch), 3);
    for (const [n, target] of batch.targets.entries()) {
      if (target >= 0) assert.equal(batch.first[n], n, "the token read is the first of its text");
    }
    rmSync(folder, { recursive: true });
  });

  it("learns", async () => {
    const trainer = await ModelTrainer.create(await referenceBackend(), config, settings);
    for (const [name, values] of initialTensors(config, { seed: 1 })) trainer.trained.get(name)!.write(values);
    const losses: number[] = [];
    for (let step = 0; step < settings.steps; step++) losses.push((await trainer.step(step, fill))!.loss);
    assert.ok(losses.at(-1)! < losses[0]! / 2, `${losses[0]} to ${losses.at(-1)}`);
  });
});
