import type { JsonObject } from "../../../checkpoint/strict-json.js";
import type { ModelConfig } from "../../config.js";
import { ConfigJson } from "../../config-json.js";
import { type HuggingFaceMapping, namingFile } from "../../mapping.js";
import type { TaskHead } from "../../task-head.js";
import { HEAD } from "../../tensor-spec.js";
import { type BertConfig, bertConfig } from "../config.js";
import { isTaskTensor } from "../task.js";

/**
 * DistilBERT (Sanh et al. 2019) in transformers' files: a BERT without token types, whose classifier has a pooler with ReLU. It
 * has other names for everything.
 */

const NUMBERS = [
  ["vocabSize", "vocab_size"],
  ["nCtx", "max_position_embeddings"],
  ["nEmbd", "dim"],
  ["nLayer", "n_layers"],
  ["nHead", "n_heads"],
  ["nInner", "hidden_dim"],
] as const;

const PARTS = { tokenTypes: 0, poolerActivation: "relu", nextSentence: false } as const;

/** @throws {ConfigError} sizes that no DistilBERT has. */
function readConfig(json: JsonObject, file: string): BertConfig {
  const reader = new ConfigJson(json, file);
  const fields = {
    nLayer: 6,
    ...reader.numbers(NUMBERS),
    ...PARTS,
    activation: reader.activation("activation", "gelu"),
    tieWordEmbeddings: reader.boolean("tie_word_embeddings", true),
  };
  return namingFile(file, () => bertConfig(fields));
}

function writeConfig(model: ModelConfig): JsonObject {
  const config = model as BertConfig;
  return {
    ...Object.fromEntries(NUMBERS.map(([key, field]) => [field, config[key]])),
    activation: config.activation,
    tie_word_embeddings: config.tieWordEmbeddings,
    sinusoidal_pos_embds: false,
    pad_token_id: 0,
  };
}

function withPartsOf(model: ModelConfig, found: ReadonlyMap<string, unknown>): BertConfig {
  const pooler = found.has("pooler.dense.weight");
  return { ...(model as BertConfig), pooler, maskedTokens: found.has("cls.predictions.transform.dense.weight") };
}

function classOf(model: ModelConfig, head: TaskHead | undefined): string {
  if (head?.kind === "tokens") return "DistilBertForTokenClassification";
  if (head?.kind === "spans") return "DistilBertForQuestionAnswering";
  if (head) return "DistilBertForSequenceClassification";
  return (model as BertConfig).maskedTokens ? "DistilBertForMaskedLM" : "DistilBertModel";
}

const PREFIX = "distilbert.";
/** Names, ours first: outside the blocks, and within one. */
const NAMES: readonly (readonly [ours: string, theirs: string])[] = [
  ["pooler.dense", "pre_classifier"],
  ["cls.predictions.transform.dense", "vocab_transform"],
  ["cls.predictions.transform.LayerNorm", "vocab_layer_norm"],
];
const BLOCK: readonly (readonly [ours: string, theirs: string])[] = [
  ["attention.self.query", "attention.q_lin"],
  ["attention.self.key", "attention.k_lin"],
  ["attention.self.value", "attention.v_lin"],
  ["attention.output.dense", "attention.out_lin"],
  ["attention.output.LayerNorm", "sa_layer_norm"],
  ["intermediate.dense", "ffn.lin1"],
  ["output.dense", "ffn.lin2"],
  ["output.LayerNorm", "output_layer_norm"],
];
const DECODER = "vocab_projector.";
const BIAS = "cls.predictions.bias";

function tableName(name: string): string {
  if (name.startsWith(DECODER)) return name === `${DECODER}bias` ? BIAS : HEAD;
  const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
  const match = /^transformer\.layer\.(\d+)\./.exec(bare);
  const found = renamed(match ? bare.slice(match[0].length) : bare, match ? BLOCK : NAMES, 1);
  return match ? `encoder.layer.${match[1]}.${found}` : found;
}

function fileName(name: string): string {
  if (name === HEAD) return `${DECODER}weight`;
  if (name === BIAS) return `${DECODER}bias`;
  if (isTaskTensor(name)) return name;
  const match = /^encoder\.layer\.(\d+)\./.exec(name);
  if (match) return `${PREFIX}transformer.layer.${match[1]}.${renamed(name.slice(match[0].length), BLOCK, 0)}`;
  const found = renamed(name, NAMES, 0);
  return found === name ? PREFIX + name : found;
}

/** A name with its stem from one side of a table replaced by the other's. */
function renamed(name: string, table: typeof NAMES, from: 0 | 1): string {
  const end = name.lastIndexOf(".");
  const pair = table.find((names) => names[from] === name.slice(0, end));
  return pair ? pair[1 - from] + name.slice(end) : name;
}

export const DISTILBERT_HUGGING_FACE: HuggingFaceMapping = {
  architecture: "bert",
  modelType: "distilbert",
  classPrefix: /^DistilBert(For|Model$)/,
  holds: (config) => (config as BertConfig).tokenTypes === 0,
  classOf,
  readConfig,
  writeConfig,
  withPartsOf,
  tableName,
  fileName,
};
