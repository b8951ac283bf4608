import { copyFile, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { openCheckpoint, saveCheckpoint, writeSafetensorsFile } from "../checkpoint/node.js";
import { openFileSource } from "../checkpoint/file-source.js";
import { readSafetensors } from "../checkpoint/safetensors.js";
import { CheckpointError } from "../errors.js";
import type { GPT2Config } from "../model/config.js";
import { tensorTable } from "../model/tensors.js";
import { isTemporaryName, recoverFolder, writeFolderAtomically, writeNewFile } from "../util/atomic-write.js";
import type { ModelTrainer } from "./model-trainer.js";
import type { TrainSettings } from "./settings.js";

/**
 * A training checkpoint is a folder that is also a model: a Hugging Face folder in f32 (config.json, model.safetensors,
 * tokenizer.json) with the optimizer's moments (optimizer.safetensors) and the run's state (trainer.json) beside it.
 * Data order, dropout and initialisation are functions of the seed and a position, so a step number is all their state.
 */
export interface RunState {
  readonly format: "gpt2-ts training run";
  readonly version: 1;
  /** Optimizer steps done. */
  readonly step: number;
  readonly settings: TrainSettings;
  /** The data set's folder, as given, and its size: a run goes on only with the same data. */
  readonly data: string;
  readonly dataTokens: number;
  readonly best?: { readonly step: number; readonly loss: number } | undefined;
  /** Seconds of training so far. */
  readonly seconds: number;
}

const STATE_FILE = "trainer.json";
const OPTIMIZER_FILE = "optimizer.safetensors";

export const checkpointName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** Writes the folder whole or not at all. */
export async function saveRun(path: string, trainer: ModelTrainer, state: RunState, tokenizer?: string): Promise<void> {
  await writeFolderAtomically(path, async (folder) => {
    await saveModel(folder, trainer, "f32");
    const shape = [trainer.layout.size];
    const moments = [];
    for (const [name, array] of [["m", trainer.m] as const, ["v", trainer.v] as const]) {
      moments.push({ name, dtype: "F32" as const, shape, data: Float32Array.from(await array.read()) });
    }
    await writeSafetensorsFile(join(folder, OPTIMIZER_FILE), moments);
    if (tokenizer) await copyFile(tokenizer, join(folder, "tokenizer.json"));
    await writeNewFile(join(folder, STATE_FILE), `${JSON.stringify(state, null, 2)}\n`);
  });
}

/** The model alone, as a Hugging Face folder. */
export async function saveModel(path: string, trainer: ModelTrainer, dtype: "f32" | "bf16"): Promise<void> {
  async function* tensors() {
    for (const { name, shape } of tensorTable(trainer.config)) {
      yield { name, shape, data: Float32Array.from(await trainer.parameter(name).read()) };
    }
  }
  await saveCheckpoint(path, { config: trainer.config, tensors: tensors() }, { dtype });
}

/** The configuration and state in a training checkpoint. @throws {CheckpointError} it is none, or damaged. */
export async function readRunState(path: string): Promise<RunState> {
  const file = join(path, STATE_FILE);
  let json: Partial<RunState>;
  try {
    json = JSON.parse(await readFile(file, "utf8")) as Partial<RunState>;
  } catch (cause) {
    throw new CheckpointError({ op: `reading ${file}`, expected: "the state of a training run", got: String(cause), cause });
  }
  const { step } = json;
  if (json.format !== "gpt2-ts training run" || json.version !== 1 || !Number.isInteger(step) || step! < 0 || !json.settings) {
    throw new CheckpointError({ op: `reading ${file}`, expected: "a training run of version 1", got: `${json.format} ${json.version}` });
  }
  return json as RunState;
}

/** Fills a trainer with a checkpoint's parameters and moments. */
export async function restoreRun(path: string, trainer: ModelTrainer): Promise<void> {
  await loadParameters(path, trainer);
  const source = openFileSource(join(path, OPTIMIZER_FILE));
  try {
    const { tensors } = readSafetensors(source);
    for (const [name, array] of Object.entries({ m: trainer.m, v: trainer.v })) {
      const tensor = tensors.get(name);
      const size = trainer.layout.size;
      if (tensor?.dtype !== "F32" || tensor.shape.length !== 1 || tensor.shape[0] !== size) {
        const got = tensor ? `${tensor.dtype} [${tensor.shape.join(", ")}]` : "none";
        throw new CheckpointError({ op: `reading ${source.name}: tensor ${name}`, expected: `F32 [${size}]`, got });
      }
      const bytes = tensor.data.slice();
      array.write(new Float32Array(bytes.buffer, bytes.byteOffset, size));
    }
  } finally {
    source.close();
  }
}

/** Fills a trainer's parameters from any checkpoint of the same shape. */
export async function loadParameters(path: string, trainer: ModelTrainer): Promise<void> {
  const checkpoint = await openCheckpoint(path);
  try {
    for (const [name, tensor] of checkpoint.tensors) {
      const values = new Float32Array(tensor.shape.reduce((n, d) => n * d, 1));
      tensor.readInto(values);
      trainer.parameter(name).write(values);
    }
  } finally {
    checkpoint.close();
  }
}

export async function checkpointConfig(path: string): Promise<GPT2Config> {
  const checkpoint = await openCheckpoint(path);
  checkpoint.close();
  return checkpoint.config;
}

/** Steps of the checkpoints in a run's folder, oldest first. */
export async function listCheckpoints(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => [] as string[]);
  for (const name of names) {
    // A kill in the middle of a swap leaves the old folder under another name.
    const match = /^\.(step-\d{8})\.old-/.exec(name);
    if (match) await recoverFolder(join(folder, match[1]!));
  }
  const steps: number[] = [];
  for (const name of await readdir(folder).catch(() => [] as string[])) {
    const match = isTemporaryName(name) ? null : /^step-(\d{8,})$/.exec(name);
    if (match && (await stat(join(folder, name, STATE_FILE)).catch(() => undefined))) steps.push(Number(match[1]));
  }
  return steps.sort((a, b) => a - b);
}

/** Removes all but the newest `keep` checkpoints and the one of step `best`. */
export async function pruneCheckpoints(folder: string, keep: number, best: number | undefined): Promise<void> {
  const steps = await listCheckpoints(folder);
  for (const step of steps.slice(0, Math.max(0, steps.length - keep))) {
    if (step !== best) await rm(join(folder, checkpointName(step)), { recursive: true, force: true });
  }
}
