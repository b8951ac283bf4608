import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Backend } from "../backend/backend.js";
import { type BackendOptions, type ChosenBackend, chooseBackend } from "../backend/choose.js";
import { setFileMapper } from "../checkpoint/file-source.js";
import { checkWeightType, type WeightType } from "../dtype/dtype.js";
import { CheckpointError } from "../errors.js";
import type { FetchedModel } from "../hub/fetch-model.js";
import type { LocateOptions } from "../hub/locate.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { packageFile } from "../util/package-root.js";
import type { Checkpoint } from "./checkpoint.js";
import { defaultTokenizer, fitTokenizer } from "./default-tokenizer.js";
import type { AdapterPaths } from "./load-adapters.js";
import { loadHead } from "./loaded-head.js";
import type { ModelParts } from "./model-parts.js";
import { openCheckpoint } from "./open.js";
import { samplingOf } from "./sampling-of.js";
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
  // What is here needs nothing of the hub's, which takes as long to load as the rest.
  const here = name !== undefined && options.revision === undefined && existsSync(name);
  if (name !== undefined) return openCheckpoint(here ? name : (await fetchGpt2(name, options)).path);
  const folder = defaultModelFolder();
  if (existsSync(join(folder, "config.json"))) return openCheckpoint(folder);
  const hint = "Give the path of a model instead";
  throw new CheckpointError({ op: "loading the default model", expected: `a model in ${folder}`, got: "none", hint });
}

/** Makes a model's name a path; of one that has to be fetched and is no GPT-2, the weights are not. */
export async function fetchGpt2(name: string, options: LocateOptions = {}): Promise<FetchedModel> {
  const checkConfig = async (path: string): Promise<void> => {
    if (basename(path) !== "config.json") return;
    const [{ configFromHuggingFace }, { parseJsonObject }] = await Promise.all([
      import("./names/state-dict.js"),
      import("../checkpoint/strict-json.js"),
    ]);
    configFromHuggingFace(parseJsonObject(await readFile(path), path), path);
  };
  const { locateModel } = await import("../hub/locate.js");
  return locateModel(name, { checkConfig, ...options });
}

/** What {@link GPT2.load} does, for its name and options. */
export async function loadModel(name: string | undefined, options: LoadOptions = {}): Promise<ModelParts> {
  const { signal } = options;
  const { dtype } = options;
  if (dtype !== undefined) checkWeightType(dtype);
  const chosen = await chooseBackend(options);
  mapFilesWith(chosen.backend);
  signal?.throwIfAborted();
  const checkpoint = await openWithAdapter(name, options);
  try {
    // Weights are read and converted by other threads, meanwhile a tokenizer is made by this one.
    const weights = weightsOf(checkpoint, chosen, { dtype, signal });
    const tokenizer = options.tokenizer ? fitted(options.tokenizer, checkpoint) : tokenizerOf(checkpoint);
    const [parts, used] = await Promise.all([weights, tokenizer]);
    const adapters = await adaptersOf(checkpoint, chosen, options);
    return { ...parts, tokenizer: used, endOfText: used ? used.endOfText : checkpoint.eosTokenId, adapters };
  } finally {
    checkpoint.close();
  }
}

/** Checkpoints on disk are read through the backend's mapping from now on, if it maps files. */
export function mapFilesWith(backend: Backend): void {
  if (backend.capabilities.mappedFiles) setFileMapper((path) => backend.mapFile?.(path));
}

/** {@link openModel}, with an adapter folded into it if there is one to be. */
export async function openWithAdapter(name: string | undefined, options: OpenOptions): Promise<Checkpoint> {
  const { adapters, merge } = options;
  const only = merge ?? (typeof adapters === "string" ? adapters : undefined);
  if (only === undefined) return openModel(name, options);
  const { baseOfAdapter, foldIn } = await import("./load-adapters.js");
  const checkpoint = await openModel(name ?? (await baseOfAdapter(only, options)), options);
  return merge === undefined ? checkpoint : foldIn(checkpoint, merge, options);
}

async function adaptersOf({ config }: Checkpoint, { backend }: ChosenBackend, options: LoadOptions) {
  if (options.adapters === undefined) return undefined;
  return (await import("./load-adapters.js")).loadAdapters(backend, config, options.adapters, options);
}

async function weightsOf(
  checkpoint: Checkpoint,
  { backend, fallback }: ChosenBackend,
  options: Pick<LoadOptions, "dtype" | "signal">,
) {
  const weights = await loadWeights(backend, checkpoint.config, checkpoint.tensors.values(), options);
  const { config, head } = checkpoint;
  const sampling = samplingOf(checkpoint);
  return { backend, fallback, config, weights, sampling, head: head && loadHead(head) };
}

/**
 * The tokenizer in the weights' file or beside it, else GPT-2's if it has as many tokens as the model, else none.
 *
 * @throws {TokenizerError} it is malformed, of another kind, or has tokens that the model does not have.
 */
export async function tokenizerOf(checkpoint: Checkpoint): Promise<Tokenizer | undefined> {
  return fitted((await checkpoint.loadTokenizer?.()) ?? (await tokenizerBeside(checkpoint)), checkpoint);
}

const fitted = async (tokenizer: Tokenizer | undefined, { path, config }: Checkpoint): Promise<Tokenizer | undefined> =>
  tokenizer && fitTokenizer(path, config.vocabSize, tokenizer);

async function tokenizerBeside(checkpoint: Checkpoint): Promise<Tokenizer | undefined> {
  const { config, tokenizerFiles } = checkpoint;
  const { tokenizerJson, vocabJson, mergesTxt, llmcBin } = tokenizerFiles ?? {};
  const beside = tokenizerJson || (vocabJson && mergesTxt) ? dirname((tokenizerJson ?? vocabJson)!) : llmcBin;
  if (beside !== undefined) return (await import("../tokenizer/files.js")).loadTokenizer(beside);
  return defaultTokenizer(config);
}
