import { type Affine, affine, type Leaves, type Linear, type LowRank, linear, linearWithoutBias } from "../params.js";
import type { GPTNeoConfig } from "./config.js";

export interface BlockParams<T, L = LowRank<T>> {
  readonly ln1: Affine<T>;
  readonly attn: {
    /** Without biases. */
    readonly qProj: Linear<T, L>;
    readonly kProj: Linear<T, L>;
    readonly vProj: Linear<T, L>;
    readonly outProj: Linear<T, L>;
  };
  readonly ln2: Affine<T>;
  readonly mlp: { readonly cFc: Linear<T, L>; readonly cProj: Linear<T, L> };
}

/** GPT-Neo's parameters, or anything else there is one of for each (gradients, arrays, …), as a tree. */
export interface Params<T, L = LowRank<T>> {
  readonly wte: T;
  readonly wpe: T;
  readonly h: readonly BlockParams<T, L>[];
  readonly lnF: Affine<T>;
}

export function paramTree<T, L>({ nLayer }: Pick<GPTNeoConfig, "nLayer">, leaves: Leaves<T, L>): Params<T, L> {
  const block = (h: string): BlockParams<T, L> => ({
    ln1: affine(leaves, `${h}.ln_1`),
    attn: {
      qProj: linearWithoutBias(leaves, `${h}.attn.attention.q_proj`),
      kProj: linearWithoutBias(leaves, `${h}.attn.attention.k_proj`),
      vProj: linearWithoutBias(leaves, `${h}.attn.attention.v_proj`),
      outProj: linear(leaves, `${h}.attn.attention.out_proj`),
    },
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
