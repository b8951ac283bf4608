import { existsSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type BackendOptions, type ChosenBackend, chooseBackend } from "../backend/choose.js";
import { isHere } from "../checkpoint/file-source.js";
import { checkWeightType } from "../dtype/dtype.js";
import { CheckpointError } from "../errors.js";
import type { FetchedModel } from "../hub/fetch-model.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { checkOptionNames } from "../util/nearest.js";
import { packageFile } from "../util/package-root.js";
import type { Checkpoint } from "./checkpoint.js";
import type { AdapterPaths } from "./load-adapters.js";
import { LOCATE_OPTIONS, type LocateOptions } from "./locate-options.js";
import {
  checkCompute,
  loadParts,
  type ModelParts,
  needGenerator,
  type PartsOptions,
  withOwnBackend,
} from "./model-parts.js";
import { type FileAccess, openCheckpoint } from "./open.js";
import { fitTokenizer, tokenizerOf } from "./tokenizer.js";

/**
 * From a model's name to its parts in memory, downwards: locate it, open it, bring it to the backend.
 *
 *     locateModel        a name becomes a path                              locate.ts, hub/
 *     openCheckpoint     a path becomes a Checkpoint: its format is found,  open.ts, identify.ts, formats.ts
 *                        headers and configuration are read, the file's     formats/ (here and in architectures/)
 *                        tensors matched with the table of tensors          match-tensors.ts
 *     loadParts          tensors become arrays of the backend               model-parts.ts, weights.ts
 */

export interface OpenOptions extends Omit<LocateOptions, "checkConfig"> {
  /** LoRA adapters for requests to choose. With a single one and no model name, the model it was made for is loaded. */
  readonly adapters?: AdapterPaths | undefined;
  /** A LoRA adapter to fold into the weights, where it costs nothing. */
  readonly merge?: string | undefined;
}

export interface LoadOptions extends BackendOptions, OpenOptions, PartsOptions {
  /** Replaces the tokenizer beside the model. */
  readonly tokenizer?: Tokenizer | undefined;
}

/** Loads the parts of a model for {@link GPT2.load}. */
export async function loadModel(name: string | undefined, options: LoadOptions = {}): Promise<ModelParts> {
  checkOptionNames("loading a model", options, {
    ...LOCATE_OPTIONS,
    adapters: true,
    merge: true,
    backend: true,
    threads: true,
    isa: true,
    onFallback: true,
    tokenizer: true,
    dtype: true,
    compute: true,
    kv: true,
  });
  checkCompute(options);
  if (options.dtype !== undefined) checkWeightType(options.dtype);
  const { backend, threads, isa, onFallback } = options;
  const chosen = await chooseBackend({ backend, threads, isa, onFallback });
  return withOwnBackend(chosen, (ready) => loadOn(ready, name, options));
}

async function loadOn(chosen: ChosenBackend, name: string | undefined, options: LoadOptions): Promise<ModelParts> {
  const { signal, dtype, compute, kv } = options;
  signal?.throwIfAborted();
  const checkpoint = await openWithAdapter(name, options, chosen.backend);
  try {
    needGenerator(checkpoint);
    const { tokenizer: given } = options;
    const tokenizer = () => (given ? fitTokenizer(checkpoint, given) : tokenizerOf(checkpoint));
    const parts = await loadParts(checkpoint, chosen, tokenizer, { dtype, compute, kv, signal });
    if (options.adapters === undefined) return parts;
    const { loadAdapters } = await import("./load-adapters.js");
    return { ...parts, adapters: await loadAdapters(chosen.backend, parts.config, options.adapters, options) };
  } finally {
    checkpoint.close();
  }
}

/** {@link openModel}, with the adapter of the option `merge` folded in. */
export async function openWithAdapter(
  name: string | undefined,
  options: OpenOptions,
  access: FileAccess = {},
): Promise<Checkpoint> {
  const { adapters, merge } = options;
  const only = merge ?? (typeof adapters === "string" ? adapters : undefined);
  if (only === undefined) return openModel(name, options, access);
  const { baseOfAdapter, foldIn } = await import("./load-adapters.js");
  const checkpoint = await openModel(name ?? (await baseOfAdapter(only, options)), options, access);
  return merge === undefined ? checkpoint : foldIn(checkpoint, merge, options);
}

/** The folder of the model that comes with the package. */
export const defaultModelFolder = (): string => packageFile("models/default");

/**
 * Opens a model, wherever it is: see {@link locateModel}. Default: the model that comes with the package.
 *
 * @throws {CheckpointError} there is no such model, or it is malformed.
 * @throws {ConfigError} its architecture is unknown.
 * @throws {DownloadError} it can't be fetched.
 */
export async function openModel(
  name?: string,
  options: LocateOptions = {},
  access: FileAccess = {},
): Promise<Checkpoint> {
  if (name !== undefined) return openNamed(name, options, access);
  const folder = defaultModelFolder();
  if (existsSync(join(folder, "config.json"))) return openCheckpoint(folder, access);
  const hint = "Give the path of a model instead";
  throw new CheckpointError({ op: "loading the default model", expected: `a model in ${folder}`, got: "none", hint });
}

async function openNamed(name: string, options: LocateOptions, access: FileAccess): Promise<Checkpoint> {
  // Local files do not need the hub's client, which takes as long to load as the rest.
  const here = options.revision === undefined && isHere(name);
  if (!here) return openCheckpoint((await fetchGpt2(name, options)).path, access);
  try {
    return await openCheckpoint(name, access);
  } catch (error) {
    throw await namingHidden(name, error);
  }
}

/** A folder without a model may hide a model of the hub with the same name: the error then says so. */
async function namingHidden(name: string, error: unknown): Promise<unknown> {
  if (!(error instanceof CheckpointError) || error.details.hint !== undefined) return error;
  const { parseModelName } = await import("../hub/model-name.js");
  const hidden = parseModelName(name, "https://huggingface.co");
  if (hidden?.kind !== "hub" || !statSync(name, { throwIfNoEntry: false })?.isDirectory()) return error;
  const hint = `This folder hides the model ${hidden.id} of the hub: rename it, or give ${hidden.id}@main`;
  return new CheckpointError({ ...error.details, hint, cause: error });
}

/** Resolves a model's name to a path. Weights are not fetched if the model's configuration cannot be read. */
export async function fetchGpt2(name: string, options: LocateOptions = {}): Promise<FetchedModel> {
  const checkConfig = async (path: string): Promise<void> => {
    if (basename(path) !== "config.json") return;
    const { parsePythonJson } = await import("../checkpoint/strict-json.js");
    const { configFromHuggingFace } = await import("./formats/huggingface.js");
    configFromHuggingFace(parsePythonJson(await readFile(path), `reading ${path}`), path);
  };
  const { findModel } = await import("./locate.js");
  return findModel(name, { checkConfig, ...options });
}
