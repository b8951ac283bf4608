import { UsageError } from "../errors.js";
import type { ModelConfig } from "./config.js";
import { architectureOf, tensorTable } from "./registry.js";
import { numel, type TensorSpec } from "./tensor-spec.js";

/**
 * Low-rank adaptation (Hu et al. 2021, "LoRA"): a linear layer y = W x + b becomes y = W x + b + s B A x, with W frozen, A
 * [r, in], B [out, r] and s = alpha / r (or alpha / √r: Kalajdzievski 2023, "rsLoRA").
 */

/** Name of a linear layer within a block: `attn.c_attn`. */
export type LoraTarget = string;

/** The linear layers of a block that can be adapted, in the order of the tensor table. */
export const loraTargets = (config: Pick<ModelConfig, "architecture">): readonly LoraTarget[] =>
  architectureOf(config).linear;

/** The rank of each adapted layer, by its name in the model: `h.0.attn.c_attn`. */
export type LoraRanks = ReadonlyMap<string, number>;

/** Names of the two matrices of an adapted layer. Files add a prefix. */
export const loraA = (layer: string): string => `${layer}.lora_A.weight`;
export const loraB = (layer: string): string => `${layer}.lora_B.weight`;

/** The same rank for each of the targets, in every layer. */
export function loraRanks(config: ModelConfig, targets: readonly LoraTarget[], rank: number): Map<string, number> {
  const { linear, block } = architectureOf(config);
  const ranks = new Map<string, number>();
  for (let layer = 0; layer < config.nLayer; layer++) {
    for (const target of linear) if (targets.includes(target)) ranks.set(`${block(layer)}.${target}`, rank);
  }
  return ranks;
}

/** [out, in] of every layer that can be adapted. */
export function adaptableLayers(config: ModelConfig): Map<string, readonly [out: number, width: number]> {
  return new Map(
    [...adaptableSpecs(config)].map(([name, { shape }]) => [name, shape as readonly [number, number]] as const),
  );
}

/** The weight of each layer that can be adapted, by the layer's name. */
function adaptableSpecs(config: ModelConfig): Map<string, TensorSpec> {
  const { linear, block } = architectureOf(config);
  const found = new Map<string, TensorSpec>();
  for (const spec of tensorTable(config)) {
    const name = spec.name.replace(/\.weight$/, "");
    const target = spec.layer < 0 ? "" : name.slice(block(spec.layer).length + 1);
    if (linear.includes(target) && name !== spec.name) found.set(name, spec);
  }
  return found;
}

/**
 * An adapter's tensors: A uniform within ±1/√in (torch's initialization of linear layers), B zero, so training starts from the
 * unchanged model. Both are decayed.
 */
export function loraTable(config: ModelConfig, ranks: LoraRanks): TensorSpec[] {
  const layers = adaptableSpecs(config);
  return [...ranks].flatMap(([name, r]) => {
    const spec = layers.get(name);
    if (spec === undefined) {
      throw new UsageError({ op: "adapter", expected: "a linear layer of the model", got: name });
    }
    const [out, width] = spec.shape as [number, number];
    const matrix = { conv1d: false, decay: true, layer: spec.layer } as const;
    return [
      { name: loraA(name), shape: [r, width], init: "uniform", ...matrix },
      { name: loraB(name), shape: [out, r], init: "zero", ...matrix },
    ] satisfies TensorSpec[];
  });
}

export const loraParameterCount = (config: ModelConfig, ranks: LoraRanks): number =>
  loraTable(config, ranks).reduce((n, { shape }) => n + numel(shape), 0);

/** LoRA scaling s, the factor of B A. */
export function loraScale(alpha: number, rank: number, rankStabilized: boolean): number {
  return alpha / (rankStabilized ? Math.sqrt(rank) : rank);
}

/**
 * Offsets of each adapted layer's gains in the one array of an adapter. Each layer has a table [rows, r], with a row for each
 * way in which a token may use the adapter.
 */
export function gainOffsets(ranks: LoraRanks, rows: number): { offsets: ReadonlyMap<string, number>; size: number } {
  const offsets = new Map<string, number>();
  let size = 0;
  for (const [name, rank] of ranks) {
    offsets.set(name, size);
    size += rows * rank;
  }
  return { offsets, size };
}

/** Gains of an adapter: the layer's scaling in the last row, zero in the rows before. */
export function gainTable(ranks: LoraRanks, scaleOf: (layer: string) => number, rows: number): Float32Array {
  const { offsets, size } = gainOffsets(ranks, rows);
  const gains = new Float32Array(size);
  for (const [name, rank] of ranks) {
    const last = offsets.get(name)! + (rows - 1) * rank;
    gains.fill(scaleOf(name), last, last + rank);
  }
  return gains;
}
