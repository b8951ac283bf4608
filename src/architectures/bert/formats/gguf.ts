import type { MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import type { GgufFile } from "../../../checkpoint/gguf/read.js";
import { ConfigError } from "../../../errors.js";
import type { ModelConfig, SizeField } from "../../config.js";
import { type GgufMapping, namingFile, renamedStems } from "../../mapping.js";
import { type BertConfig, bertConfig } from "../config.js";

/**
 * GGUF files of the architecture `bert` (llama.cpp's src/models/bert.cpp and llama-arch.cpp). They hold what embeddings need.
 * There is no pooler and no head, because llama.cpp's converter leaves them out.
 */

const SIZE_KEYS = {
  nCtx: "bert.context_length",
  nEmbd: "bert.embedding_length",
  nLayer: "bert.block_count",
  nInner: "bert.feed_forward_length",
  nHead: "bert.attention.head_count",
} as const satisfies Partial<Record<SizeField, string>>;
const EPSILON_KEY = "bert.attention.layer_norm_epsilon";
const CAUSAL_KEY = "bert.attention.causal";
export const TOKEN_TYPES_KEY = "tokenizer.ggml.token_type_count";

const NAMES = renamedStems({
  outside: [
    ["embeddings.word_embeddings", "token_embd"],
    ["embeddings.position_embeddings", "position_embd"],
    ["embeddings.token_type_embeddings", "token_types"],
    ["embeddings.LayerNorm", "token_embd_norm"],
  ],
  inBlock: [
    ["attention.self.query", "attn_q"],
    ["attention.self.key", "attn_k"],
    ["attention.self.value", "attn_v"],
    ["attention.output.dense", "attn_output"],
    ["attention.output.LayerNorm", "attn_output_norm"],
    ["intermediate.dense", "ffn_up"],
    ["output.dense", "ffn_down"],
    ["output.LayerNorm", "layer_output_norm"],
  ],
  block: ["encoder.layer.", "blk."],
});

const fileName = (name: string): string => NAMES.toFile(name) ?? name;

/** The inverse. An unknown tensor gets a name that is not in the table, which refuses it. */
const tableName = (name: string): string => NAMES.toTable(name) ?? `gguf ${name}`;

/** @throws {ConfigError} a key is missing, or a size is impossible. */
function readConfig({ source, metadata, tensors }: GgufFile): BertConfig {
  const sizes = Object.entries(SIZE_KEYS).map(([field, key]) => [field, metadata.needNumber(key)]);
  if (metadata.boolean(CAUSAL_KEY)) throw metadata.error(CAUSAL_KEY, "false");
  const rows = (name: string): number => tensors.get(fileName(name))?.shape[0] ?? 0;
  const fields: Partial<BertConfig> = {
    ...Object.fromEntries(sizes),
    layerNormEpsilon: metadata.needDecimal(EPSILON_KEY),
    vocabSize: rows("embeddings.word_embeddings.weight"),
    tokenTypes: rows("embeddings.token_type_embeddings.weight"),
    ...NO_PARTS,
  };
  return namingFile(source.name, () => bertConfig(fields));
}

const NO_PARTS = { pooler: false, maskedTokens: false, nextSentence: false, tieWordEmbeddings: true } as const;

/** @throws {ConfigError} llama.cpp's BERT does not compute this activation. */
function writeConfig(model: ModelConfig, file: string): MetadataEntry[] {
  const config = model as BertConfig;
  if (config.activation !== "gelu") {
    const op = `writing ${file}: GGUF format`;
    throw new ConfigError({ op, expected: "activation = gelu", got: config.activation });
  }
  const sizes = Object.entries(SIZE_KEYS).map(
    ([field, key]): MetadataEntry => [key, "u32", config[field as SizeField]],
  );
  return [
    ...sizes,
    [EPSILON_KEY, "f32", config.layerNormEpsilon],
    [CAUSAL_KEY, "bool", false],
    [TOKEN_TYPES_KEY, "u32", config.tokenTypes],
  ];
}

export const BERT_GGUF: GgufMapping = {
  architecture: "bert",
  ggufArchitecture: "bert",
  readConfig,
  writeConfig,
  held: (config) => ({ ...config, ...NO_PARTS }),
  tableName,
  fileName,
};
