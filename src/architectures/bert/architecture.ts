import type { Architecture } from "../architecture.js";
import { BERT_PRESETS, type BertConfig, bertConfig } from "./config.js";
import { type BertActivations, forward, TOKEN_TYPES } from "./forward.js";
import { bertOutputs } from "./outputs.js";
import { taskTensors } from "./task.js";
import { bertTensors, blockName } from "./tensors.js";

/** BERT (Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding"). */
export const BERT: Architecture<BertConfig, BertActivations> = {
  name: "bert",
  label: "BERT",
  attention: "bidirectional",
  pooling: { embedding: "mean", task: "first", output: "pooled" },
  extraInputs: [TOKEN_TYPES],
  prefix: "bert.",
  presets: BERT_PRESETS,
  linear: [
    ...["query", "key", "value"].map((part) => `attention.self.${part}`),
    ...["attention.output.dense", "intermediate.dense", "output.dense"],
  ],
  complete: bertConfig,
  tensors: bertTensors,
  block: blockName,
  head: ({ tieWordEmbeddings }) => (tieWordEmbeddings ? "embeddings.word_embeddings.weight" : "lm_head.weight"),
  window: () => undefined,
  differences: ({
    activation,
    tieWordEmbeddings,
    tokenTypes,
    pooler,
    poolerActivation,
    maskedTokens,
    nextSentence,
  }) => [
    ...(activation === "gelu" ? [] : [`activation ${activation}`]),
    ...(tieWordEmbeddings ? [] : ["an untied decoder"]),
    ...(tokenTypes === 2 ? [] : [tokenTypes === 0 ? "no token types" : `${tokenTypes} token types`]),
    ...(pooler ? [] : ["no pooler"]),
    ...(poolerActivation === "tanh" ? [] : [`a pooler with ${poolerActivation}`]),
    ...(maskedTokens ? [] : ["no head for masked tokens"]),
    ...(nextSentence ? [] : ["no next-sentence head"]),
  ],
  task: taskTensors,
  withHead: (config, { kind }) => {
    const pooler = kind === "classification" || kind === "regression";
    return { ...config, pooler, maskedTokens: false, nextSentence: false, tieWordEmbeddings: true };
  },
  wholeModules: ["pooler.dense"],
  outputs: bertOutputs,
  adapterRefusal: ({ tokenTypes }) =>
    tokenTypes > 0 ? undefined : { expected: "a BERT with token types", got: "a DistilBERT" },
  forward,
};
