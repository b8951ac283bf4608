import type { MlpParams } from "../blocks.js";
import type { ModelConfig } from "../config.js";
import { type Affine, affine, type Leaves, type Linear, type LowRank, linear, linearWithoutBias } from "../params.js";

/** The attention layers of an architecture: the only difference between GPT-2 and GPT-Neo, from embedding to head. */
export interface AttentionLayers<C extends ModelConfig> {
  /** Their prefix within a block, in the table of tensors: `attn`. */
  readonly path: string;
  /** One linear layer for queries, keys and values together, or three. */
  readonly qkv: readonly string[];
  readonly qkvBias: boolean;
  /** The output projection. */
  readonly out: string;
  /** The factor of a layer's attention scores. */
  scale(config: C, layer: number): number;
}

export interface BlockParams<T, L = LowRank<T>> {
  readonly ln1: Affine<T>;
  readonly qkv: readonly Linear<T, L>[];
  readonly attnProj: Linear<T, L>;
  readonly ln2: Affine<T>;
  readonly mlp: MlpParams<T, L>;
}

/** A tree with one value for each parameter: tensors, gradients, arrays, … */
export interface Params<T, L = LowRank<T>> {
  readonly wte: T; // [V, C]
  readonly wpe: T; // [nCtx, C]
  readonly h: readonly BlockParams<T, L>[];
  readonly lnF: Affine<T>;
}

type AttentionNames = Pick<AttentionLayers<never>, "path" | "qkv" | "qkvBias" | "out">;

export function paramTree<T, L>(
  { nLayer }: Pick<ModelConfig, "nLayer">,
  { path, qkv, qkvBias, out }: AttentionNames,
  leaves: Leaves<T, L>,
): Params<T, L> {
  const block = (h: string): BlockParams<T, L> => ({
    ln1: affine(leaves, `${h}.ln_1`),
    qkv: qkv.map((name) => (qkvBias ? linear : linearWithoutBias)(leaves, `${h}.${path}.${name}`)),
    attnProj: linear(leaves, `${h}.${path}.${out}`),
    ln2: affine(leaves, `${h}.ln_2`),
    mlp: { cFc: linear(leaves, `${h}.mlp.c_fc`), cProj: linear(leaves, `${h}.mlp.c_proj`) },
  });
  return {
    wte: leaves.tensor("wte.weight"),
    wpe: leaves.tensor("wpe.weight"),
    h: Array.from({ length: nLayer }, (_, i) => block(`h.${i}`)),
    lnF: affine(leaves, "ln_f"),
  };
}
