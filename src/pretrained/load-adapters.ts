import type { ModelConfig } from "../architectures/config.js";
import type { Backend } from "../backend/backend.js";
import { CheckpointError, UsageError } from "../errors.js";
import { quote } from "../util/quote.js";
import type { Checkpoint } from "./checkpoint.js";
import { DEFAULT_ADAPTER, LoadedAdapter } from "./loaded-adapter.js";
import { loadHead } from "./loaded-head.js";
import { findModel } from "./locate.js";
import type { LocateOptions } from "./locate-options.js";
import { type AdapterCheckpoint, mergeAdapter, openAdapter, readAdapterSettings, replacesVectors } from "./node.js";
import { loadWeights } from "./weights.js";

/**
 * LoRA adapters to load with a model: paths or names on the hub, by the names under which requests choose them. A single one
 * is named `default`, and serves all requests that do not choose.
 */
export type AdapterPaths = string | Readonly<Record<string, string>>;

const adapterEntries = (paths: AdapterPaths): [name: string, path: string][] =>
  typeof paths === "string" ? [[DEFAULT_ADAPTER, paths]] : Object.entries(paths);

/** Folds an adapter into a model's weights. Closes the model if that fails. */
export async function foldIn(checkpoint: Checkpoint, adapter: string, options: LocateOptions): Promise<Checkpoint> {
  try {
    return mergeAdapter(checkpoint, await findAdapter(adapter, checkpoint.config, options));
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

/** Loads all of them into a backend's memory, by the names under which requests choose them. */
export async function loadAdapters(
  backend: Backend,
  config: ModelConfig,
  paths: AdapterPaths,
  options: LocateOptions,
): Promise<Map<string, LoadedAdapter>> {
  const loaded = new Map<string, LoadedAdapter>();
  for (const [name, path] of adapterEntries(paths)) {
    const adapter = await findAdapter(path, config, options);
    try {
      loaded.set(name, await loadAdapter(backend, config, adapter, options.signal));
    } finally {
      adapter.close();
    }
  }
  return loaded;
}

/** Opens an adapter, wherever it is: a folder, its .safetensors, or a name on the hub. */
export async function findAdapter(
  name: string,
  model: ModelConfig,
  options: LocateOptions = {},
): Promise<AdapterCheckpoint> {
  return openAdapter((await findModel(name, options)).path, model);
}

/**
 * The model that an adapter was made for; undefined if it is the one that comes with the package.
 *
 * @throws {CheckpointError} it is an address: only the user decides from where files are fetched.
 */
export async function baseOfAdapter(name: string, options: LocateOptions = {}): Promise<string | undefined> {
  const { path } = await findModel(name, options);
  const { baseModel } = readAdapterSettings(path);
  if (baseModel === undefined || !/^[a-z][a-z0-9+.-]*:\/\/|^[/\\]{2}/i.test(baseModel)) return baseModel;
  throw new CheckpointError({
    op: `loading the adapter ${path}: base_model_name_or_path`,
    expected: "a name or a path",
    got: quote(baseModel),
    hint: "An address is not fetched because an adapter names it: if you trust it, give it as the model",
  });
}

/** Options that load a model with one adapter: beside the weights, or folded in if it changes layer norms or biases. */
export async function withAdapter(
  name: string,
  options: LocateOptions = {},
): Promise<{ readonly adapters: string } | { readonly merge: string }> {
  return replacesVectors((await findModel(name, options)).path) ? { merge: name } : { adapters: name };
}

/**
 * Loads an adapter into a backend's memory, for requests to choose.
 *
 * @throws {UsageError} it changes layer norms or biases, which all requests share.
 */
export async function loadAdapter(
  backend: Backend,
  config: ModelConfig,
  adapter: AdapterCheckpoint,
  signal?: AbortSignal,
): Promise<LoadedAdapter> {
  const [replaced] = adapter.replaced.keys();
  if (replaced !== undefined) {
    throw new UsageError({
      op: `loading the adapter ${adapter.path}`,
      expected: "an adapter of linear layers only, which requests can choose",
      got: `another ${replaced} as well`,
      hint: "Fold it into the weights: gpt2 merge, or the option merge of GPT2.load",
    });
  }
  const tensors = await loadWeights(backend, config, adapter.tensors.values(), { dtype: "f32", signal });
  const head = adapter.head && loadHead(adapter.head);
  return new LoadedAdapter(backend, adapter.ranks, tensors, (layer) => adapter.scales.get(layer)!, head);
}
