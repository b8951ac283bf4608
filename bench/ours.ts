/** This package as a contender of the benchmark (see protocol.ts): the engine and the training step, native backend. */
import type { Backend, DeviceArray } from "../src/backend/backend.js";
import { nativeBackend } from "../src/backend/native/index.js";
import { Engine } from "../src/generate/engine.js";
import { largest } from "../src/generate/largest.js";
import { numel, tensorTable } from "../src/model/tensors.js";
import { ModelTrainer } from "../src/train/model-trainer.js";
import { trainSettings } from "../src/train/settings.js";
import { fillSeeded } from "../test/helpers/seeded-weights.js";
import type { GenerateResult, GenerateTask, Setup, TrainResult, TrainTask } from "./protocol.js";
import { serve } from "./worker.js";

/** Optimizer steps so far. */
const stepsDone = new WeakMap<ModelTrainer, number>();

await serve(async (setup) => {
  const backend = nativeBackend({ threads: setup.threads });
  let engine: Engine | undefined;
  let trainer: ModelTrainer | undefined;
  return {
    description: `${backend.description}, node ${process.versions.node}`,
    generate: (task) => generate((engine ??= makeEngine(backend, setup)), task),
    train: (task) => train((trainer ??= makeTrainer(backend, setup, task)), task),
  };
});

function makeEngine(backend: Backend, { config, seed }: Setup): Engine {
  const weights = new Map<string, DeviceArray>();
  for (const [index, spec] of tensorTable(config).entries()) {
    const array = backend.alloc("f32", numel(spec.shape));
    fillSeeded(array.host as Float32Array, spec, index, seed);
    weights.set(spec.name, array);
  }
  return new Engine(backend, config, weights);
}

async function generate(engine: Engine, { prompt, count }: GenerateTask): Promise<GenerateResult> {
  const sequence = engine.sequence();
  const ids: number[] = [];
  const seconds: number[] = [];
  const best = new Int32Array(1);
  let tokens = prompt;
  for (let i = 0; i <= count; i++) {
    const start = performance.now();
    await engine.extend([{ sequence, tokens }], (logits) => largest(logits, 1, best));
    tokens = [best[0]!];
    seconds.push((performance.now() - start) / 1000);
    ids.push(best[0]!);
  }
  sequence.release();
  return { ids, seconds };
}

function makeTrainer(backend: Backend, { config, seed, adamw }: Setup, { rows }: TrainTask): ModelTrainer {
  const shape = { batchSize: rows.length, seqLength: rows[0]!.length - 1 };
  const settings = trainSettings({ ...adamw, ...shape, minLr: adamw.lr, warmupSteps: 0, dropout: 0 });
  const trainer = new ModelTrainer(backend, config, settings);
  for (const [index, spec] of tensorTable(config).entries()) {
    fillSeeded(trainer.weights.get(spec.name)!.host as Float32Array, spec, index, seed);
  }
  return trainer;
}

async function train(trainer: ModelTrainer, { rows, steps }: TrainTask): Promise<TrainResult> {
  const losses: number[] = [];
  const seconds: number[] = [];
  const { seqLength: T } = trainer.settings;
  for (let i = 0; i < steps; i++) {
    const step = stepsDone.get(trainer) ?? 0;
    const start = performance.now();
    const result = await trainer.step(step, (_, tokens, targets) => {
      rows.forEach((row, b) => {
        tokens.set(row.slice(0, -1), b * T);
        targets.set(row.slice(1), b * T);
      });
      return rows.length * T;
    });
    seconds.push((performance.now() - start) / 1000);
    losses.push(result!.loss);
    stepsDone.set(trainer, step + 1);
  }
  return { losses, seconds };
}
