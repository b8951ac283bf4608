import type { BertConfig } from "../architectures/bert/config.js";
import type { ModelConfig } from "../architectures/config.js";
import type { ComputeOptions } from "../architectures/decode-program.js";
import { architectureOf } from "../architectures/registry.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import { type ChosenBackend, chooseBackend } from "../backend/choose.js";
import { CACHE_TYPES, type WeightType } from "../dtype/dtype.js";
import { CheckpointError, UsageError } from "../errors.js";
import { PRECISIONS } from "../program/precision.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Checkpoint } from "./checkpoint.js";
import type { LoadedAdapter } from "./loaded-adapter.js";
import { type LoadedHead, loadHead } from "./loaded-head.js";
import { type SamplingSettings, samplingSettings } from "./sampling-options.js";
import { loadWeights } from "./weights.js";

/** The parts of a {@link GPT2}. */
export interface ModelParts extends ComputeOptions {
  /** The file or folder it was loaded from. */
  readonly path?: string | undefined;
  readonly backend: Backend;
  readonly config: ModelConfig;
  /** Arrays of `backend`, one for each name in the tensor table. They are only read, so models may share them. */
  readonly weights: ReadonlyMap<string, DeviceArray>;
  /** Without one, the model takes and returns token ids only. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Id of `<|endoftext|>`, which separates texts. Default: the tokenizer's. */
  readonly endOfText?: number | undefined;
  /** Tokens that end generation. Default: `<|endoftext|>`. */
  readonly eosTokenIds?: readonly number[] | undefined;
  /** Default sampling settings. */
  readonly sampling?: SamplingSettings | undefined;
  /** LoRA adapters for requests to choose, by name. */
  readonly adapters?: ReadonlyMap<string, LoadedAdapter> | undefined;
  /** Task head beside the weights. */
  readonly head?: LoadedHead | undefined;
  /** Why the first choice of backend could not be used. */
  readonly fallback?: Error | undefined;
  /**
   * Releases what the model owns besides its own memory, when it is disposed of: its backend, or weights and adapters. Default:
   * nothing.
   */
  readonly owned?: Iterable<{ dispose(): void | Promise<void> }> | undefined;
}

export interface PartsOptions extends ComputeOptions {
  /** Storage dtype of the weight matrices. Default: the file's. */
  readonly dtype?: WeightType | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws {UsageError} an unknown precision, or storage dtype of keys and values. */
export function checkCompute({ compute, kv }: ComputeOptions): void {
  const check = (op: string, value: string | undefined, names: readonly string[]): void => {
    if (value === undefined || names.includes(value)) return;
    throw new UsageError({ op, expected: names.join(" or "), got: value });
  };
  check("compute", compute, PRECISIONS);
  check("kv", kv, CACHE_TYPES);
}

/** @throws {UsageError} the model reads whole texts, and cannot generate. */
export function needGenerator({ config, path }: Pick<Checkpoint, "config" | "path">): void {
  const { label, attention } = architectureOf(config);
  if (attention === "causal") return;
  const hint = "BERT.load loads it; gpt2 fill-mask, embed and classify use it";
  throw new UsageError({ op: `loading ${path}`, expected: "a model that reads from left to right", got: label, hint });
}

/** The configuration of a BERT. @param hint what else loads the model @throws {UsageError} the model reads from left to right. */
export function encoderConfig({ config, path }: Pick<Checkpoint, "config" | "path">, hint: string): BertConfig {
  const { label, attention } = architectureOf(config);
  if (attention === "bidirectional") return config as BertConfig;
  throw new UsageError({ op: `loading ${path}`, expected: "a BERT, which reads whole texts", got: `a ${label}`, hint });
}

/**
 * Loads an opened model into a backend's memory.
 *
 * @param tokenizer makes the tokenizer on this thread, while others read and convert the weights.
 */
export async function loadParts(
  checkpoint: Checkpoint,
  { backend, fallback }: ChosenBackend,
  tokenizer: () => Promise<Tokenizer | undefined>,
  options: PartsOptions,
): Promise<ModelParts> {
  const { config, tensors, head } = checkpoint;
  const [weights, used] = await Promise.all([loadWeights(backend, config, tensors.values(), options), tokenizer()]);
  const { eosTokenIds, bosTokenId } = checkpoint;
  const endOfText = used?.endOfText ?? eosTokenIds?.[0] ?? bosTokenId;
  const sampling = samplingOf(checkpoint);
  return {
    path: checkpoint.path,
    backend,
    fallback,
    config,
    weights,
    compute: options.compute,
    kv: options.kv,
    tokenizer: used,
    endOfText,
    eosTokenIds,
    sampling,
    head: head && loadHead(head),
  };
}

/** Runs `load` on a backend that the model then owns. Disposes of the backend if that fails. */
export async function withOwnBackend<Parts extends object>(
  chosen: ChosenBackend,
  load: (chosen: ChosenBackend) => Promise<Parts>,
): Promise<Parts & Pick<ModelParts, "owned">> {
  try {
    return { ...(await load(chosen)), owned: [chosen.backend] };
  } catch (error) {
    await chosen.backend.dispose();
    throw error;
  }
}

/** {@link withOwnBackend} on one chosen here; on a caller's backend the model owns its weights only. */
export async function onBackend<Parts extends Pick<ModelParts, "weights">>(
  backend: Backend | undefined,
  load: (chosen: ChosenBackend) => Promise<Parts>,
): Promise<Parts & Pick<ModelParts, "owned">> {
  if (backend === undefined) return withOwnBackend(await chooseBackend(), load);
  const parts = await load({ backend });
  return { ...parts, owned: parts.weights.values() };
}

/** Sampling settings from a model's files, if any. @throws {CheckpointError} a value is out of range. */
function samplingOf({ sampling, path }: Checkpoint): SamplingSettings | undefined {
  if (sampling === undefined) return undefined;
  try {
    return samplingSettings(sampling);
  } catch (cause) {
    if (!(cause instanceof UsageError)) throw cause;
    const { op, ...rest } = cause.details;
    throw new CheckpointError({ op: `reading ${path}: generation_config.json: ${op}`, ...rest, cause });
  }
}
