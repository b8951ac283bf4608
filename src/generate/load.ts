import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Backend } from "../backend/backend.js";
import { type BackendOptions, type ChosenBackend, chooseBackend } from "../backend/choose.js";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { mergeAdapter, openCheckpoint, setFileMapper } from "../checkpoint/node.js";
import { parseJsonObject } from "../checkpoint/strict-json.js";
import { WEIGHT_TYPES, type WeightType } from "../dtype/dtype.js";
import { CheckpointError, UsageError } from "../errors.js";
import { type FetchedModel, type LocateOptions, locateModel } from "../hub/node.js";
import type { GPT2Config } from "../model/config.js";
import { configFromHuggingFace } from "../model/state-dict.js";
import { loadTokenizer } from "../tokenizer/files.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { packageFile } from "../util/package-root.js";
import { checkVocabulary, defaultTokenizer } from "./default-tokenizer.js";
import { type AdapterPaths, adapterEntries, baseOfAdapter, findAdapter, loadAdapter } from "./load-adapters.js";
import type { LoadedAdapter } from "./loaded-adapter.js";
import type { ModelParts } from "./model-parts.js";
import { loadWeights } from "./weights.js";

export interface OpenOptions extends Omit<LocateOptions, "checkConfig"> {
  /** LoRA adapters that requests can choose; with a single one and no model's name, the model that it is for is loaded. */
  readonly adapters?: AdapterPaths | undefined;
  /** A LoRA adapter to fold into the weights, which costs nothing afterwards. */
  readonly merge?: string | undefined;
}

export interface LoadOptions extends BackendOptions, OpenOptions {
  /** Instead of the one that lies beside the model. */
  readonly tokenizer?: Tokenizer | undefined;
  /** What the weight matrices are held in: see docs/quantization.md; by default in what the file holds them in. */
  readonly dtype?: WeightType | undefined;
}

/** The folder of the model that comes with the package. */
export const defaultModelFolder = (): string => packageFile("models/default");

/**
 * Opens a model, wherever it is: see {@link locateModel}; without a name the one that comes with the package.
 *
 * @throws {CheckpointError} there is no such model, or it is malformed.
 * @throws {ConfigError} it is no GPT-2.
 * @throws {DownloadError} it is elsewhere and can't be fetched.
 */
export async function openModel(name?: string, options: LocateOptions = {}): Promise<Checkpoint> {
  if (name !== undefined) return openCheckpoint((await fetchGpt2(name, options)).path);
  const folder = defaultModelFolder();
  if (existsSync(join(folder, "config.json"))) return openCheckpoint(folder);
  const hint = "Give the path of a model instead";
  throw new CheckpointError({ op: "loading the default model", expected: `a model in ${folder}`, got: "none", hint });
}

/** Makes a model's name a path; of one that has to be fetched and is no GPT-2, the weights are not. */
export async function fetchGpt2(name: string, options: LocateOptions = {}): Promise<FetchedModel> {
  const checkConfig = (path: string): void => {
    if (basename(path) === "config.json") configFromHuggingFace(parseJsonObject(readFileSync(path), path), path);
  };
  return locateModel(name, { checkConfig, ...options });
}

/** What {@link GPT2.load} does, for its name and options. */
export async function loadModel(name: string | undefined, options: LoadOptions = {}): Promise<ModelParts> {
  const { signal } = options;
  const dtype = checkWeightType(options.dtype);
  const chosen = await chooseBackend(options);
  // Checkpoints on disk are read through the mapping from now on.
  if (chosen.mapFile) setFileMapper(chosen.mapFile);
  signal?.throwIfAborted();
  const checkpoint = await openWithAdapter(name, options);
  try {
    const tokenizer = options.tokenizer ?? (await tokenizerOf(checkpoint));
    if (tokenizer) checkVocabulary(checkpoint.path, checkpoint.config.vocabSize, tokenizer);
    const endOfText = tokenizer ? tokenizer.endOfText : checkpoint.eosTokenId;
    const parts = await weightsOf(checkpoint, chosen, { dtype, signal });
    return { ...parts, tokenizer, endOfText, adapters: await loadAdapters(chosen.backend, checkpoint.config, options) };
  } finally {
    checkpoint.close();
  }
}

/** {@link openModel}, with an adapter folded into it if there is one to be. */
export async function openWithAdapter(name: string | undefined, options: OpenOptions): Promise<Checkpoint> {
  const { adapters, merge } = options;
  const only = merge ?? (typeof adapters === "string" ? adapters : undefined);
  const checkpoint = await openModel(name ?? (only && (await baseOfAdapter(only, options))), options);
  if (merge === undefined) return checkpoint;
  try {
    return mergeAdapter(checkpoint, await findAdapter(merge, checkpoint.config, options));
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

async function loadAdapters(
  backend: Backend,
  config: GPT2Config,
  options: LoadOptions,
): Promise<Map<string, LoadedAdapter>> {
  const loaded = new Map<string, LoadedAdapter>();
  for (const [name, path] of adapterEntries(options.adapters)) {
    const adapter = await findAdapter(path, config, options);
    try {
      loaded.set(name, await loadAdapter(backend, adapter, options.signal));
    } finally {
      adapter.close();
    }
  }
  return loaded;
}

async function weightsOf(
  checkpoint: Checkpoint,
  { backend, fallback, inPlace, convert }: ChosenBackend,
  options: Pick<LoadOptions, "dtype" | "signal">,
) {
  const weights = await loadWeights(backend, checkpoint.tensors.values(), { inPlace, convert, ...options });
  return { backend, fallback, config: checkpoint.config, weights };
}

/** @throws {UsageError} no type that weights can be held in. */
function checkWeightType(dtype: string | undefined): WeightType | undefined {
  const found = WEIGHT_TYPES.find((name) => name === dtype);
  if (found !== undefined || dtype === undefined) return found;
  throw new UsageError({ op: "dtype", expected: WEIGHT_TYPES.join(" or "), got: dtype });
}

/** The tokenizer in the weights' file or beside it, else GPT-2's if it has as many tokens as the model, else none. */
export async function tokenizerOf(checkpoint: Checkpoint): Promise<Tokenizer | undefined> {
  const own = await checkpoint.loadTokenizer?.();
  if (own !== undefined) return own;
  const { config, tokenizerFiles } = checkpoint;
  const { tokenizerJson, vocabJson, mergesTxt, llmcBin } = tokenizerFiles ?? {};
  if (tokenizerJson || (vocabJson && mergesTxt)) return loadTokenizer(dirname((tokenizerJson ?? vocabJson)!));
  if (llmcBin) return loadTokenizer(llmcBin);
  return defaultTokenizer(config);
}
