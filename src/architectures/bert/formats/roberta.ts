import type { RawTensor } from "../../../checkpoint/raw-tensor.js";
import type { JsonObject } from "../../../checkpoint/strict-json.js";
import { ConfigError } from "../../../errors.js";
import { quote } from "../../../util/quote.js";
import type { HuggingFaceMapping } from "../../mapping.js";
import { HEAD } from "../../tensor-spec.js";
import type { BertConfig } from "../config.js";
import { BERT_HUGGING_FACE } from "./huggingface.js";

/**
 * RoBERTa (Liu et al. 2019) in transformers' files: a BERT of one token type whose positions begin after that of padding, in the
 * third row of their table. Its heads are BERT's under other names, that for texts with the pooler in it. It is saved
 * as the BERT that it is.
 */

const PREFIX = "roberta.";
const POSITIONS = "embeddings.position_embeddings.weight";
/** Rows of the table of positions that no text has: one before padding's, and padding's. */
const UNUSED = 2;

/** File names, ours second. */
const NAMES: readonly (readonly [theirs: string, ours: string])[] = [
  ["lm_head.dense.", "cls.predictions.transform.dense."],
  ["lm_head.layer_norm.", "cls.predictions.transform.LayerNorm."],
  ["lm_head.decoder.weight", HEAD],
  ["lm_head.decoder.bias", "cls.predictions.bias"],
  ["lm_head.bias", "cls.predictions.bias"],
  ["classifier.dense.", "pooler.dense."],
  ["classifier.out_proj.", "classifier."],
];

/** @throws {ConfigError} sizes that no such model has, or padding that is not token 1. */
function readConfig(json: JsonObject, file: string): BertConfig {
  const { pad_token_id: padding = 1, max_position_embeddings: rows = UNUSED + 512 } = json;
  if (padding !== 1) {
    throw new ConfigError({ op: `reading ${file}: pad_token_id`, expected: "1, as RoBERTa has", got: quote(padding) });
  }
  const positions = typeof rows === "number" ? rows - UNUSED : rows;
  const fields = { vocab_size: 50265, ...json, max_position_embeddings: positions };
  return BERT_HUGGING_FACE.readConfig(fields, file) as BertConfig;
}

function tableName(name: string): string | undefined {
  const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
  const pair = NAMES.find(([theirs]) => bare.startsWith(theirs));
  return pair ? pair[1] + bare.slice(pair[0].length) : BERT_HUGGING_FACE.tableName(bare);
}

/** For messages. */
function fileName(name: string): string {
  const pair = NAMES.find(([, ours]) => name.startsWith(ours));
  return pair ? pair[0] + name.slice(pair[1].length) : PREFIX + name;
}

/** The table of positions without its unused rows. */
function logical(name: string, tensor: RawTensor): RawTensor {
  const [rows = 0, width = 0] = tensor.shape;
  if (name !== POSITIONS || tensor.shape.length !== 2 || rows <= UNUSED) return tensor;
  const { dtype, source, offset, byteLength } = tensor;
  const skipped = (byteLength / rows) * UNUSED;
  return {
    name: tensor.name,
    dtype,
    shape: [rows - UNUSED, width],
    source,
    offset: offset + skipped,
    byteLength: byteLength - skipped,
  };
}

export const ROBERTA_HUGGING_FACE: HuggingFaceMapping = {
  ...BERT_HUGGING_FACE,
  modelType: "roberta",
  classPrefix: /^Roberta(For|Model$)/,
  holds: () => false,
  readConfig,
  tableName,
  fileName,
  logical,
  copies: new Map([["lm_head.decoder.bias", "lm_head.bias"]]),
};
