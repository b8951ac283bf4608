import { HEAD, normSpecs, type TensorSpec, vectorSpec } from "../tensor-spec.js";
import type { BertConfig } from "./config.js";

/**
 * Every tensor of a BERT, in checkpoint order, with transformers' names without the prefix `bert.`. All matrices are initialized
 * with N(0, 0.02), as in Google's code.
 */
export function bertTensors(config: BertConfig): TensorSpec[] {
  const { vocabSize: V, nCtx, nEmbd: C, tokenTypes, nLayer } = config;
  const table: TensorSpec[] = [
    matrix("embeddings.word_embeddings", V, C),
    { ...matrix("embeddings.position_embeddings", nCtx, C), f32: true },
  ];
  if (tokenTypes > 0) table.push({ ...matrix("embeddings.token_type_embeddings", tokenTypes, C), f32: true });
  table.push(...normSpecs("embeddings.LayerNorm", C, -1));
  for (let layer = 0; layer < nLayer; layer++) table.push(...blockTensors(config, layer));
  if (config.pooler) table.push(...dense("pooler.dense", C, C));
  if (config.maskedTokens) {
    table.push(...dense("cls.predictions.transform.dense", C, C));
    table.push(...normSpecs("cls.predictions.transform.LayerNorm", C, -1));
    if (!config.tieWordEmbeddings) table.push({ ...matrix("", V, C), name: HEAD });
    table.push(vectorSpec("cls.predictions.bias", V, -1));
  }
  if (config.nextSentence) table.push(...dense("cls.seq_relationship", 2, C));
  return table;
}

function blockTensors({ nEmbd: C, nInner: F }: BertConfig, layer: number): TensorSpec[] {
  const block = blockName(layer);
  return [
    ...["query", "key", "value"].flatMap((part) => dense(`${block}.attention.self.${part}`, C, C, layer)),
    ...dense(`${block}.attention.output.dense`, C, C, layer),
    ...normSpecs(`${block}.attention.output.LayerNorm`, C, layer),
    ...dense(`${block}.intermediate.dense`, F, C, layer),
    ...dense(`${block}.output.dense`, C, F, layer),
    ...normSpecs(`${block}.output.LayerNorm`, C, layer),
  ];
}

/** Prefix of the names of a block's tensors. */
export const blockName = (layer: number): string => `encoder.layer.${layer}`;

const matrix = (name: string, out: number, width: number, layer = -1): TensorSpec => {
  return { name: `${name}.weight`, shape: [out, width], conv1d: false, init: "normal", decay: true, layer };
};

/** Weight and bias of a linear layer. */
const dense = (name: string, out: number, width: number, layer = -1): TensorSpec[] => [
  matrix(name, out, width, layer),
  vectorSpec(`${name}.bias`, out, layer),
];
