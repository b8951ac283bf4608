/**
 * This package as a contender of the benchmark (see protocol.ts): loading a model as `GPT2.load` does, then the engine;
 * or the training step.
 *
 *     ours.js SETUP native|wasm [COMPUTE]
 */
import type { BackendChoice } from "../src/backend/choose.js";
import { Engine } from "../src/generate/engine.js";
import { largest } from "../src/generate/largest.js";
import { type LoadOptions, loadModel } from "../src/pretrained/load.js";
import type { Precision } from "../src/program/precision.js";
import type { BatchResult, BatchTask, GenerateResult, GenerateTask, Setup } from "./protocol.js";
import { type Contestant, serve } from "./worker.js";

await serve(async (setup) => {
  const backend = process.argv[3] as BackendChoice;
  if (setup.kind !== "train") return load(setup, backend);
  const { makeTrainer } = await import("./ours-train.js");
  return makeTrainer(setup, backend);
});

/** @throws {Error} this version does not hold weights in the requested dtype. */
async function load({ file, type, threads }: Setup, backend: BackendChoice): Promise<Contestant> {
  const compute = process.argv[4] as Precision | undefined;
  const options: LoadOptions & { readonly dtype: string } = { backend, threads, dtype: type, compute };
  const parts = await loadModel(file, options);
  const held = parts.weights.get("h.0.mlp.c_fc.weight")!.dtype;
  if (held !== type) throw new Error(`Error: requested ${type}, it loads the weights as ${held}`);
  const engine = new Engine(parts.backend, parts.config, parts.weights, parts);
  return {
    description: `${parts.backend.description}, node ${process.versions.node}`,
    cacheBytes: engine.sequenceBytes,
    generate: (task) => generate(engine, task),
    batch: (task) => batch(engine, task),
  };
}

async function generate(engine: Engine, { prompt, count }: GenerateTask): Promise<GenerateResult> {
  const { ids, seconds } = await batch(engine, { kind: "batch", prompts: [prompt], count });
  return { ids: ids[0]!, seconds };
}

async function batch(engine: Engine, { prompts, count }: BatchTask): Promise<BatchResult> {
  const growing = prompts.map((tokens) => ({ sequence: engine.sequence(), tokens }));
  const ids = prompts.map((): number[] => []);
  const seconds: number[] = [];
  const best = new Int32Array(1);
  for (let i = 0; i <= count; i++) {
    const start = performance.now();
    const found: number[] = [];
    await engine.extend(growing, (logits, which) => {
      largest(logits, 1, best);
      found[which] = best[0]!;
    });
    seconds.push((performance.now() - start) / 1000);
    found.forEach((id, which) => {
      ids[which]!.push(id);
      growing[which]!.tokens = [id];
    });
  }
  for (const { sequence } of growing) sequence.release();
  return { ids, seconds };
}
