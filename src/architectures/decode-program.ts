import type { Capabilities } from "../backend/backend.js";
import { type CacheType, type DType, isIntegerType } from "../dtype/dtype.js";
import type { KernelPath } from "../program/kernel-paths.js";
import { type Precision, withPrecision } from "../program/precision.js";
import { type Program, Recorder } from "../program/program.js";
import type { ModelConfig } from "./config.js";
import { cacheBuffer, declareDecodeAdapters, declareParams, type ParamTypes } from "./declare.js";
import type { LoraRanks } from "./lora.js";
import { architectureOf } from "./registry.js";
import { tokenInputs } from "./token-inputs.js";

export interface DecodeShape {
  /** Largest number of tokens in a run. */
  readonly maxTokens: number;
  /** Largest number of rows of logits in a run. */
  readonly maxLogits: number;
  /** Number of key rows in the cache, for all sequences together. */
  readonly cacheRows: number;
}

/** Precision of a model's computation (docs/quantization.md). */
export interface ComputeOptions {
  /** Precision of matrix products. Default: {@link defaultPrecision}. With `f32`, products with q8_0 and q4_0 are integer products. */
  readonly compute?: Precision | undefined;
  /** Storage dtype of cached keys and values. Default f32 for weights in f32, else f16. */
  readonly kv?: CacheType | undefined;
}

const roundedTypes = (types: ParamTypes | undefined): Set<DType> =>
  new Set([...(types?.values() ?? [])].filter((type) => type !== "f32"));

/** The default storage dtype of cached keys and values, by those of the weights. */
export const defaultKv = (types: ParamTypes | undefined): CacheType => (roundedTypes(types).size === 0 ? "f32" : "f16");

/**
 * The default precision of a Program's products, by the storage dtypes of its weights: bf16 for bf16; for q8_0 and q4_0 bf16
 * in Programs for many tokens, on a backend on which that is faster than integer products; else f32.
 * docs/quantization.md says what it costs in quality.
 *
 * @param on of the backend, if the Program is for many tokens
 */
export function defaultPrecision(
  types: ParamTypes | undefined,
  on?: Pick<Capabilities, "bf16OverIntegers">,
): Precision {
  const rounded = roundedTypes(types);
  const integers = [...rounded].some(isIntegerType);
  return [...rounded].join() === "bf16" || (integers && on?.bf16OverIntegers) ? "bf16" : "f32";
}

export interface DecodeProgramOptions extends ComputeOptions {
  readonly types?: ParamTypes | undefined;
  /** Ranks of each adapter that tokens of a run may use. */
  readonly adapters?: readonly LoraRanks[];
  /** With a fixed path, a token's bits do not depend on the tokens beside it. Default `auto`. */
  readonly path?: KernelPath | undefined;
}

/**
 * Computes N new tokens, each added to the cache at row[n] and attending to its rows first[n] to last[n], and logits [M, V]
 * for the tokens outputs[m]. Sizes: N, M. Each adapter has its matrices, its gains, and an index i32 [N] of each token's row.
 */
export function decodeProgram(
  config: ModelConfig,
  { maxTokens, maxLogits, cacheRows }: DecodeShape,
  { types, adapters = [], path, compute, kv }: DecodeProgramOptions = {},
): Program {
  const k = new Recorder("decode", path);
  const [N, M] = [k.sym("N", maxTokens), k.sym("M", maxLogits)];
  const { nEmbd: C, nLayer, vocabSize: V } = config;
  const { forward, head } = architectureOf(config);
  const p = declareParams(k, config, types, declareDecodeAdapters(k, config, adapters, N));
  const io = tokenInputs(k, config, N);
  const row = k.external("row", [N], "i32");
  const cache = Array.from({ length: nLayer }, (_, i) => ({
    kv: k.external(cacheBuffer(i), [cacheRows, 2 * C], kv ?? defaultKv(types)),
    row,
  }));
  const { hidden: x } = forward(k, config, p, io, { cache });
  const index = k.external("outputs", [M], "i32");
  const hidden = k.temp("head.in", [M, C]);
  k.op("gatherRows", "head.in", { out: hidden, x, index }, { N: M, W: C }, {});
  const logits = k.external("logits", [M, V]);
  k.op(
    "linearForward",
    "head",
    { out: logits, x: hidden, weight: p.tensor(head(config)) },
    { N: M, IC: C, OC: V },
    { act: "none" },
  );
  return withPrecision(k.build(), compute ?? defaultPrecision(types));
}
