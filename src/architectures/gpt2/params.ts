import { type Affine, affine, type Leaves, type Linear, type LowRank, linear } from "../params.js";
import type { GPT2Config } from "./config.js";

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
}

export function paramTree<T, L>({ nLayer }: Pick<GPT2Config, "nLayer">, leaves: Leaves<T, L>): Params<T, L> {
  return {
    wte: leaves.tensor("wte.weight"),
    wpe: leaves.tensor("wpe.weight"),
    h: Array.from({ length: nLayer }, (_, i) => ({
      ln1: affine(leaves, `h.${i}.ln_1`),
      attn: { cAttn: linear(leaves, `h.${i}.attn.c_attn`), cProj: linear(leaves, `h.${i}.attn.c_proj`) },
      ln2: affine(leaves, `h.${i}.ln_2`),
      mlp: { cFc: linear(leaves, `h.${i}.mlp.c_fc`), cProj: linear(leaves, `h.${i}.mlp.c_proj`) },
    })),
    lnF: affine(leaves, "ln_f"),
  };
}
