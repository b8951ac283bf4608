import type { DType } from "../dtype/dtype.js";
import { at, type Dim, type Recorder, type Scalar, type Tensor } from "../program/program.js";
import { deriveKey } from "../util/random.js";
import type { Adapter } from "./adapted-linear.js";
import type { ModelConfig } from "./config.js";
import { adaptableLayers, gainOffsets, type LoraRanks, loraA, loraB, loraTable } from "./lora.js";
import type { Leaves, LowRank } from "./params.js";
import { tensorTable } from "./registry.js";

/** The external buffers of the model's Programs: their names, and tensors declared for them. */

/** Buffers of parameters and gradients, and of the matrices of an adapter in training. */
export const paramBuffer = (name: string): string => `param.${name}`;
export const gradBuffer = (name: string): string => `grad.${name}`;
export const cacheBuffer = (layer: number): string => `cache.${layer}`;
/** Gains of the adapter in training. */
export const GAIN_BUFFER = "gain";
/** Buffers of the adapters of a decoding run: matrices, gains, and the row of gains for each token. */
export const adapterBuffer = (adapter: number, name: string): string => `adapter.${adapter}.${name}`;
export const adapterGainBuffer = (adapter: number): string => `adapter.${adapter}.gain`;
export const adapterIndexBuffer = (adapter: number): string => `adapter.${adapter}.index`;

/** Storage dtypes of parameters by their names in the table. Default f32. Only frozen parameters may have another. */
export type ParamTypes = ReadonlyMap<string, DType>;

/** The adapters of each linear layer, by its name: `h.0.attn.c_attn`. */
export type LayerAdapters = (layer: string) => readonly Adapter[];

export function declareParams(
  k: Recorder,
  config: ModelConfig,
  types?: ParamTypes,
  adapters?: LayerAdapters,
): Leaves<Tensor, Adapter> {
  const tensors = new Map(
    tensorTable(config).map(({ name, shape }) => [name, k.external(paramBuffer(name), shape, types?.get(name))]),
  );
  return { tensor: (name) => tensors.get(name)!, adapters: adapters ?? (() => []) };
}

interface AdapterBuffers {
  readonly matrix: (name: string) => string;
  readonly gain: string;
  /** Rows of each layer's table of gains. */
  readonly rows: number;
}

function declareAdapter(
  k: Recorder,
  config: ModelConfig,
  ranks: LoraRanks,
  { matrix, gain, rows }: AdapterBuffers,
): Map<string, Adapter> {
  const tensors = new Map(loraTable(config, ranks).map((t) => [t.name, k.external(matrix(t.name), t.shape)]));
  const { offsets, size } = gainOffsets(ranks, rows);
  const gains = k.external(gain, [size]);
  return new Map(
    [...ranks].map(([layer, rank]) => {
      const table = { ...at(gains, offsets.get(layer)!), shape: [rows, rank] };
      return [layer, { a: tensors.get(loraA(layer))!, b: tensors.get(loraB(layer))!, gain: table }];
    }),
  );
}

/** An adapter in training. */
export interface TrainedAdapter {
  readonly ranks: LoraRanks;
  /** Dropout probability of its input. */
  readonly dropout: number;
}

/** Label of the random numbers for dropout of an adapter's input, different in each layer. */
const LORA_DROPOUT = 0x6c6f7261;

/** Declares an adapter in training. @param key0 dropout key of the run */
export function declareTrainedAdapter(
  k: Recorder,
  config: ModelConfig,
  { ranks, dropout: p }: TrainedAdapter,
  key0: Scalar = 0,
): LayerAdapters {
  const adapters = declareAdapter(k, config, ranks, { matrix: paramBuffer, gain: GAIN_BUFFER, rows: 1 });
  const layers = [...adaptableLayers(config).keys()];
  return (layer) => {
    const adapter = adapters.get(layer);
    const drop = { p, key0, key1: deriveKey(layers.indexOf(layer), LORA_DROPOUT) };
    return adapter ? [{ ...adapter, drop }] : [];
  };
}

/** Rows of an adapter's gains when decoding: one for tokens without the adapter, one for tokens with it. */
export const DECODE_GAIN_ROWS = 2;

/** Declares adapters of a decoding run. Each of N tokens has a row of gains, which decides whether it uses the adapter. */
export function declareDecodeAdapters(
  k: Recorder,
  config: ModelConfig,
  adapters: readonly LoraRanks[],
  N: Dim,
): LayerAdapters {
  const declared = adapters.map((ranks, i) => {
    const index = k.external(adapterIndexBuffer(i), [N], "i32");
    const matrix = (name: string): string => adapterBuffer(i, name);
    const layers = declareAdapter(k, config, ranks, { matrix, gain: adapterGainBuffer(i), rows: DECODE_GAIN_ROWS });
    return { index, layers };
  });
  return (layer) =>
    declared.flatMap(({ index, layers }) => {
      const adapter = layers.get(layer);
      return adapter ? [{ ...adapter, index }] : [];
    });
}

/**
 * Declares gradients of the parameters. Frozen ones have none.
 *
 * @param trained names of trained tensors. Default: the whole table
 * @param ranks ranks of the adapter in training
 */
export function declareGradients(
  k: Recorder,
  config: ModelConfig,
  trained: ReadonlySet<string> | undefined,
  ranks: LoraRanks = new Map(),
): Leaves<Tensor | undefined, LowRank<Tensor | undefined>> {
  const specs = [...tensorTable(config).filter(({ name }) => trained?.has(name) ?? true), ...loraTable(config, ranks)];
  const gradients = new Map(specs.map(({ name, shape }) => [name, k.external(gradBuffer(name), shape)]));
  return {
    tensor: (name) => gradients.get(name),
    adapters: (layer) => (ranks.has(layer) ? [{ a: gradients.get(loraA(layer)), b: gradients.get(loraB(layer)) }] : []),
  };
}
