import type { JsonObject } from "../../../checkpoint/strict-json.js";
import type { ModelConfig } from "../../config.js";
import { ConfigJson } from "../../config-json.js";
import { type HuggingFaceMapping, namingFile } from "../../mapping.js";
import type { TaskHead } from "../../task-head.js";
import { HEAD } from "../../tensor-spec.js";
import { type BertConfig, bertConfig } from "../config.js";
import { isTaskTensor, taskClass } from "../task.js";

/** BERT in transformers' files: fields of config.json, and tensor names of all its classes. */

const NUMBERS = [
  ["vocabSize", "vocab_size"],
  ["nCtx", "max_position_embeddings"],
  ["nEmbd", "hidden_size"],
  ["nLayer", "num_hidden_layers"],
  ["nHead", "num_attention_heads"],
  ["nInner", "intermediate_size"],
  ["layerNormEpsilon", "layer_norm_eps"],
  ["tokenTypes", "type_vocab_size"],
] as const;

/**
 * The configuration in a config.json, with every part of a BERT; `withPartsOf` removes those that a file lacks. A missing size
 * is BERT base's, as in transformers, whatever the other sizes are.
 *
 * @throws {ConfigError} a size is impossible, or the file describes a variant that computes something else.
 */
function readConfig(json: JsonObject, file: string): BertConfig {
  const reader = new ConfigJson(json, file);
  const positions = json.position_embedding_type ?? "absolute";
  if (positions !== "absolute") reader.refuse("position_embedding_type", '"absolute"');
  if (json.is_decoder) reader.refuse("is_decoder", "false", "Only encoders can be read");
  const fields = {
    nInner: 3072,
    ...reader.numbers(NUMBERS),
    activation: reader.activation("hidden_act", "gelu"),
    tieWordEmbeddings: reader.boolean("tie_word_embeddings", true),
  };
  return namingFile(file, () => bertConfig(fields));
}

/** The inverse of {@link readConfig}: transformers reads the same model from it. */
function writeConfig(model: ModelConfig): JsonObject {
  const config = model as BertConfig;
  return {
    ...Object.fromEntries(NUMBERS.map(([key, field]) => [field, config[key]])),
    hidden_act: config.activation,
    tie_word_embeddings: config.tieWordEmbeddings,
    position_embedding_type: "absolute",
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.1,
    initializer_range: 0.02,
    pad_token_id: 0,
  };
}

/** The parts that these tensors belong to: BertForMaskedLM has no pooler, BertModel no heads. */
function withPartsOf(model: ModelConfig, found: ReadonlyMap<string, unknown>): BertConfig {
  const pooler = found.has("pooler.dense.weight");
  const maskedTokens = found.has("cls.predictions.transform.dense.weight");
  const nextSentence = pooler && found.has("cls.seq_relationship.weight");
  return { ...(model as BertConfig), pooler, maskedTokens, nextSentence };
}

function classOf(model: ModelConfig, head: TaskHead | undefined): string {
  const { maskedTokens, nextSentence } = model as BertConfig;
  const task = taskClass("Bert", head);
  if (task !== undefined) return task;
  if (maskedTokens) return nextSentence ? "BertForPreTraining" : "BertForMaskedLM";
  return nextSentence ? "BertForNextSentencePrediction" : "BertModel";
}

const PREFIX = "bert.";
const DECODER = "cls.predictions.decoder.";
const BIAS = "cls.predictions.bias";

function tableName(name: string): string | undefined {
  const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
  if (bare === "embeddings.position_ids") return undefined; // a buffer of older files
  if (bare.startsWith(DECODER)) return bare === `${DECODER}bias` ? BIAS : HEAD;
  // Older files have TensorFlow's names for the tensors of a layer norm.
  return bare.replace(/LayerNorm\.gamma$/, "LayerNorm.weight").replace(/LayerNorm\.beta$/, "LayerNorm.bias");
}

function fileName(name: string): string {
  if (name === HEAD) return `${DECODER}weight`;
  return name.startsWith("cls.") || isTaskTensor(name) ? name : PREFIX + name;
}

export const BERT_HUGGING_FACE: HuggingFaceMapping = {
  architecture: "bert",
  modelType: "bert",
  holds: (config) => (config as BertConfig).tokenTypes > 0,
  classPrefix: /^Bert(For|Model$|LMHead)/,
  classOf,
  readConfig,
  writeConfig,
  withPartsOf,
  tableName,
  fileName,
  // The decoder's bias is one tensor with two names.
  copies: new Map([[`${DECODER}bias`, BIAS]]),
};
