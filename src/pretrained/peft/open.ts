import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { ModelConfig } from "../../architectures/config.js";
import { fileOperation, openFileSource } from "../../checkpoint/file-source.js";
import { readSafetensors } from "../../checkpoint/safetensors.js";
import { type JsonObject, readJsonSource } from "../../checkpoint/strict-json.js";
import { CheckpointError } from "../../errors.js";
import { type PeftConfig, parsePeftConfig } from "./config.js";
import { type AdapterCheckpoint, loadAdapter } from "./load.js";
import { fromPeftName, isHeadTensor } from "./names.js";

export const ADAPTER_CONFIG_FILE = "adapter_config.json";
export const ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors";
/** The labels of a classification adapter, in the form of a model's config.json: PEFT does not store them. */
export const ADAPTER_HEAD_FILE = "classifier.json";

/**
 * Opens a LoRA adapter on disk: a folder in PEFT's layout, or its adapter_model.safetensors. Close it when done.
 *
 * @param model the shape of the model it was made for.
 * @throws {CheckpointError} it does not exist, or cannot be used: see {@link loadAdapter}.
 */
export function openAdapter(path: string, model: ModelConfig): AdapterCheckpoint {
  const { config, weights } = adapterFiles(path);
  const source = openFileSource(config);
  try {
    return loadAdapter({ path, config: source, weights: openFileSource(weights), labels: readLabels(weights) }, model);
  } catch (error) {
    source.close();
    throw error;
  }
}

function readLabels(weights: string): { file: string; fields: JsonObject } | undefined {
  const file = join(dirname(weights), ADAPTER_HEAD_FILE);
  if (!existsSync(file)) return undefined;
  const source = openFileSource(file);
  try {
    return { file, fields: readJsonSource(source) };
  } finally {
    source.close();
  }
}

/** Reads only an adapter's settings, which name its model. */
export function readAdapterSettings(path: string): PeftConfig {
  const { config } = adapterFiles(path);
  const source = openFileSource(config);
  try {
    return parsePeftConfig(readJsonSource(source), `reading ${config}`);
  } finally {
    source.close();
  }
}

/** Whether an adapter has tensors besides LoRA's: layer norms or biases that replace the model's. */
export function replacesVectors(path: string): boolean {
  const source = openFileSource(adapterFiles(path).weights);
  try {
    return [...readSafetensors(source).tensors.keys()].some(
      (name) => !name.includes(".lora_") && !isHeadTensor(fromPeftName(name) ?? ""),
    );
  } finally {
    source.close();
  }
}

/** Whether a path is an adapter rather than a model: its folder, or its weights. */
export function isAdapter(path: string): boolean {
  return existsSync(join(path, ADAPTER_CONFIG_FILE)) || basename(path) === ADAPTER_WEIGHTS_FILE;
}

function adapterFiles(path: string): { config: string; weights: string } {
  const stats = fileOperation(`opening ${path}`, () => statSync(path));
  const folder = stats.isDirectory() ? path : dirname(path);
  const weights = stats.isDirectory() ? join(folder, ADAPTER_WEIGHTS_FILE) : path;
  const config = join(folder, ADAPTER_CONFIG_FILE);
  for (const file of [config, weights]) {
    if (existsSync(file)) continue;
    const pickled = existsSync(join(folder, "adapter_model.bin"));
    const hint = pickled ? "adapter_model.bin can't be read: save it as safetensors with a newer PEFT" : undefined;
    const details = { op: `opening ${path}`, expected: `a LoRA adapter with ${file}`, got: "no such file" };
    throw new CheckpointError(hint === undefined ? details : { ...details, hint });
  }
  return { config, weights };
}

/** The contents of an adapter's folder or file that are known without its model. */
export interface AdapterDescription {
  readonly format: "peft";
  readonly path: string;
  readonly rank: number;
  readonly alpha: number;
  readonly rankStabilized: boolean;
  readonly baseModel: string | undefined;
  readonly parameters: number;
  /** Number of adapted layers, by the ends of their names. */
  readonly targets: Readonly<Record<string, number>>;
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[]; readonly dtype: string }[];
}

/** @throws {CheckpointError} there is no adapter, or its variant cannot be read. */
export function describeAdapter(path: string): AdapterDescription {
  const { rank, alpha, rankStabilized, baseModel } = readAdapterSettings(path);
  const source = openFileSource(adapterFiles(path).weights);
  try {
    const tensors = [...readSafetensors(source).tensors.values()].map(({ name, shape, dtype }) => ({
      name,
      shape,
      dtype,
    }));
    const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0);
    const targets: Record<string, number> = {};
    for (const { name } of tensors) {
      const [, target] = /\.\d+\.(.+)\.lora_A\.weight$/.exec(fromPeftName(name) ?? "") ?? [];
      if (target !== undefined) targets[target] = (targets[target] ?? 0) + 1;
    }
    return { format: "peft", path, rank, alpha, rankStabilized, baseModel, parameters, targets, tensors };
  } finally {
    source.close();
  }
}
