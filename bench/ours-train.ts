/** This package's training step as a contender of the benchmark; ours.ts starts it. */

import { tensorTable } from "../src/architectures/registry.js";
import { type BackendChoice, chooseBackend } from "../src/backend/choose.js";
import { ModelTrainer } from "../src/train/model-trainer.js";
import { trainSettings } from "../src/train/settings.js";
import { fillSeeded } from "../test/helpers/seeded-weights.js";
import type { Setup, TrainResult, TrainTask } from "./protocol.js";
import type { Contestant } from "./worker.js";

export async function makeTrainer(setup: Setup, choice: BackendChoice): Promise<Contestant> {
  const { backend } = await chooseBackend({ backend: choice, threads: setup.threads });
  let trainer: ModelTrainer | undefined;
  let step = 0;
  const train = async ({ rows, steps }: TrainTask): Promise<TrainResult> => {
    const losses: number[] = [];
    const seconds: number[] = [];
    if (!trainer) {
      const { adamw, config, type } = setup;
      const shape = { batchSize: rows.length, seqLength: rows[0]!.length - 1 };
      const precision = type === "bf16" ? "bf16" : "f32";
      const settings = trainSettings({ ...adamw, ...shape, precision, minLr: adamw.lr, warmupSteps: 0, dropout: 0 });
      trainer = await ModelTrainer.create(backend, config, settings);
      for (const [index, spec] of tensorTable(config).entries()) {
        fillSeeded(trainer.weights.get(spec.name)!.host as Float32Array, spec, index, setup.seed);
      }
    }
    const { seqLength: T } = trainer.settings;
    for (let i = 0; i < steps; i++) {
      const start = performance.now();
      const result = await trainer.step(step, (_, { tokens, targets }) => {
        rows.forEach((row, b) => {
          tokens.set(row.slice(0, -1), b * T);
          targets.set(row.slice(1), b * T);
        });
        return rows.length * T;
      });
      seconds.push((performance.now() - start) / 1000);
      losses.push(result!.loss);
      step++;
    }
    return { losses, seconds };
  };
  return { description: `${backend.description}, node ${process.versions.node}`, train };
}
