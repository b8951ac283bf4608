import type { GPT2Config } from "./config.js";

/** A weight [out, in] with its bias [out]; also a layer norm's gain and bias, both [C]. */
export interface Affine<T> {
  readonly weight: T;
  readonly bias: T;
}

/** Two thin matrices whose product is added to a weight (LoRA: src/architectures/lora.ts). */
export interface LowRank<T> {
  readonly a: T; // [r, in]
  readonly b: T; // [out, r]
}

/** A linear layer's weight and bias, and what adapters add to it, in their order. */
export interface Linear<T, L = LowRank<T>> extends Affine<T> {
  readonly lowRank?: readonly L[];
}

export interface BlockParams<T, L = LowRank<T>> {
  readonly ln1: Affine<T>;
  readonly attn: { readonly cAttn: Linear<T, L>; readonly cProj: Linear<T, L> };
  readonly ln2: Affine<T>;
  readonly mlp: { readonly cFc: Linear<T, L>; readonly cProj: Linear<T, L> };
}

/** GPT-2's parameters, or anything else there is one of for each (gradients, arrays, …), as a tree. */
export interface Params<T, L = LowRank<T>> {
  readonly wte: T;
  readonly wpe: T;
  readonly h: readonly BlockParams<T, L>[];
  readonly lnF: Affine<T>;
  /** The output head where it is not wte. */
  readonly lmHead?: T;
}

/** The output head's: wte unless the tree has one of its own (which may be a frozen one's missing gradient). */
export function headWeight<T>(params: Params<T>): T {
  return Object.hasOwn(params, "lmHead") ? (params.lmHead as T) : params.wte;
}

/**
 * The tree whose leaves are `leaf(name)`, with the names of the tensor table; `lowRank(name)` is what is added to the
 * linear layer `h.0.attn.c_attn`.
 */
export function paramTree<T, L = never>(
  config: GPT2Config,
  leaf: (name: string) => T,
  lowRank: (name: string) => readonly L[] = () => [],
): Params<T, L> {
  const affine = (name: string): Affine<T> => ({ weight: leaf(`${name}.weight`), bias: leaf(`${name}.bias`) });
  const linear = (name: string): Linear<T, L> => ({ ...affine(name), lowRank: lowRank(name) });
  return {
    wte: leaf("wte.weight"),
    wpe: leaf("wpe.weight"),
    h: Array.from({ length: config.nLayer }, (_, i) => ({
      ln1: affine(`h.${i}.ln_1`),
      attn: { cAttn: linear(`h.${i}.attn.c_attn`), cProj: linear(`h.${i}.attn.c_proj`) },
      ln2: affine(`h.${i}.ln_2`),
      mlp: { cFc: linear(`h.${i}.mlp.c_fc`), cProj: linear(`h.${i}.mlp.c_proj`) },
    })),
    lnF: affine("ln_f"),
    ...(!config.tieWordEmbeddings && { lmHead: leaf("lm_head.weight") }),
  };
}
