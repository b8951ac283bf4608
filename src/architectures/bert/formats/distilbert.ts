import type { JsonObject } from "../../../checkpoint/strict-json.js";
import type { ModelConfig } from "../../config.js";
import { ConfigJson } from "../../config-json.js";
import { type HuggingFaceMapping, namingFile, renamedStems } from "../../mapping.js";
import type { TaskHead } from "../../task-head.js";
import { HEAD } from "../../tensor-spec.js";
import { type BertConfig, bertConfig } from "../config.js";
import { isTaskTensor, taskClass } from "../task.js";

/**
 * DistilBERT (Sanh et al. 2019) in transformers' files: a BERT without token types, whose classifier has a pooler with ReLU.
 * All names differ from BERT's.
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

/** @throws {ConfigError} a size is impossible. */
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
  return (
    taskClass("DistilBert", head) ?? ((model as BertConfig).maskedTokens ? "DistilBertForMaskedLM" : "DistilBertModel")
  );
}

const PREFIX = "distilbert.";
const NAMES = renamedStems({
  outside: [
    ["pooler.dense", "pre_classifier"],
    ["cls.predictions.transform.dense", "vocab_transform"],
    ["cls.predictions.transform.LayerNorm", "vocab_layer_norm"],
  ],
  inBlock: [
    ["attention.self.query", "attention.q_lin"],
    ["attention.self.key", "attention.k_lin"],
    ["attention.self.value", "attention.v_lin"],
    ["attention.output.dense", "attention.out_lin"],
    ["attention.output.LayerNorm", "sa_layer_norm"],
    ["intermediate.dense", "ffn.lin1"],
    ["output.dense", "ffn.lin2"],
    ["output.LayerNorm", "output_layer_norm"],
  ],
  block: ["encoder.layer.", "transformer.layer."],
});
const DECODER = "vocab_projector.";
const BIAS = "cls.predictions.bias";

function tableName(name: string): string {
  if (name.startsWith(DECODER)) return name === `${DECODER}bias` ? BIAS : HEAD;
  const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
  return NAMES.toTable(bare) ?? bare;
}

function fileName(name: string): string {
  if (name === HEAD) return `${DECODER}weight`;
  if (name === BIAS) return `${DECODER}bias`;
  if (isTaskTensor(name)) return name;
  const renamed = NAMES.toFile(name);
  // Heads have no prefix.
  return renamed === undefined || renamed.startsWith("transformer.") ? PREFIX + (renamed ?? name) : renamed;
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
