import { type Affine, affine, type Leaves, type Linear, type LowRank, linear } from "../params.js";
import { HEAD } from "../tensor-spec.js";
import type { BertConfig } from "./config.js";
import { blockName } from "./tensors.js";

export interface BlockParams<T, L = LowRank<T>> {
  /** Queries, keys, values. */
  readonly qkv: readonly Linear<T, L>[];
  readonly attentionOutput: Linear<T, L>;
  readonly attentionNorm: Affine<T>;
  readonly mlp: { readonly cFc: Linear<T, L>; readonly cProj: Linear<T, L> };
  readonly outputNorm: Affine<T>;
}

/** A tree with one value for each of BERT's parameters below its heads: tensors, gradients, arrays, … */
export interface Params<T, L = LowRank<T>> {
  readonly words: T;
  readonly positions: T;
  /** Undefined without token types. */
  readonly types: T | undefined;
  readonly norm: Affine<T>;
  readonly blocks: readonly BlockParams<T, L>[];
}

export function paramTree<T, L>({ nLayer, tokenTypes }: BertConfig, leaves: Leaves<T, L>): Params<T, L> {
  const block = (name: string): BlockParams<T, L> => ({
    qkv: ["query", "key", "value"].map((part) => linear(leaves, `${name}.attention.self.${part}`)),
    attentionOutput: linear(leaves, `${name}.attention.output.dense`),
    attentionNorm: affine(leaves, `${name}.attention.output.LayerNorm`),
    mlp: { cFc: linear(leaves, `${name}.intermediate.dense`), cProj: linear(leaves, `${name}.output.dense`) },
    outputNorm: affine(leaves, `${name}.output.LayerNorm`),
  });
  const embedding = (name: string): T => leaves.tensor(`embeddings.${name}_embeddings.weight`);
  return {
    words: embedding("word"),
    positions: embedding("position"),
    types: tokenTypes > 0 ? embedding("token_type") : undefined,
    norm: affine(leaves, "embeddings.LayerNorm"),
    blocks: Array.from({ length: nLayer }, (_, i) => block(blockName(i))),
  };
}

/** Parameters of the heads. Those that the model lacks must not be used. */
export const headParams = <T, L>({ tieWordEmbeddings }: BertConfig, leaves: Leaves<T, L>) => ({
  pooler: affine(leaves, "pooler.dense"),
  transform: affine(leaves, "cls.predictions.transform.dense"),
  transformNorm: affine(leaves, "cls.predictions.transform.LayerNorm"),
  decoder: {
    weight: leaves.tensor(tieWordEmbeddings ? "embeddings.word_embeddings.weight" : HEAD),
    bias: leaves.tensor("cls.predictions.bias"),
  },
  nextSentence: affine(leaves, "cls.seq_relationship"),
});
