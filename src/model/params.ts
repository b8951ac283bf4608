import type { GPT2Config } from "./config.js";

/** A weight [out, in] with its bias [out]; also a layer norm's gain and bias, both [C]. */
export interface Affine<T> {
  readonly weight: T;
  readonly bias: T;
}

export interface BlockParams<T> {
  readonly ln1: Affine<T>;
  readonly attn: { readonly cAttn: Affine<T>; readonly cProj: Affine<T> };
  readonly ln2: Affine<T>;
  readonly mlp: { readonly cFc: Affine<T>; readonly cProj: Affine<T> };
}

/** GPT-2's parameters, or anything else there is one of for each (gradients, arrays, …), as a tree. */
export interface Params<T> {
  readonly wte: T;
  readonly wpe: T;
  readonly h: readonly BlockParams<T>[];
  readonly lnF: Affine<T>;
  /** The output head where it is not wte. */
  readonly lmHead?: T;
}

/** The output head's: wte unless the tree has one of its own (which may be a frozen one's missing gradient). */
export function headWeight<T>(params: Params<T>): T {
  return Object.hasOwn(params, "lmHead") ? (params.lmHead as T) : params.wte;
}

/** The tree whose leaves are `leaf(name)`, with the names of the tensor table. */
export function paramTree<T>(config: GPT2Config, leaf: (name: string) => T): Params<T> {
  const affine = (name: string): Affine<T> => ({ weight: leaf(`${name}.weight`), bias: leaf(`${name}.bias`) });
  return {
    wte: leaf("wte.weight"),
    wpe: leaf("wpe.weight"),
    h: Array.from({ length: config.nLayer }, (_, i) => ({
      ln1: affine(`h.${i}.ln_1`),
      attn: { cAttn: affine(`h.${i}.attn.c_attn`), cProj: affine(`h.${i}.attn.c_proj`) },
      ln2: affine(`h.${i}.ln_2`),
      mlp: { cFc: affine(`h.${i}.mlp.c_fc`), cProj: affine(`h.${i}.mlp.c_proj`) },
    })),
    lnF: affine("ln_f"),
    ...(!config.tieWordEmbeddings && { lmHead: leaf("lm_head.weight") }),
  };
}
