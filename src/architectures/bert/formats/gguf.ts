import type { MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import type { GgufFile } from "../../../checkpoint/gguf/read.js";
import { ConfigError } from "../../../errors.js";
import type { ModelConfig, SizeField } from "../../config.js";
import { type GgufMapping, namingFile } from "../../mapping.js";
import { type BertConfig, bertConfig } from "../config.js";

/**
 * GGUF files of the architecture `bert` (llama.cpp's src/models/bert.cpp and llama-arch.cpp). They hold what embeddings need:
 * neither a pooler nor heads, as llama.cpp's own converter leaves them out.
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

/** Parts of tensors' names, this package's and GGUF's. */
const STEMS: readonly (readonly [ours: string, gguf: string])[] = [
  ["embeddings.word_embeddings", "token_embd"],
  ["embeddings.position_embeddings", "position_embd"],
  ["embeddings.token_type_embeddings", "token_types"],
  ["embeddings.LayerNorm", "token_embd_norm"],
];
const LAYER_STEMS: readonly (readonly [ours: string, gguf: string])[] = [
  ["attention.self.query", "attn_q"],
  ["attention.self.key", "attn_k"],
  ["attention.self.value", "attn_v"],
  ["attention.output.dense", "attn_output"],
  ["attention.output.LayerNorm", "attn_output_norm"],
  ["intermediate.dense", "ffn_up"],
  ["output.dense", "ffn_down"],
  ["output.LayerNorm", "layer_output_norm"],
];

const fileName = (name: string): string => rename(name, /^encoder\.layer\.(\d+)\./, "blk.", 0) ?? name;

/** The inverse. A tensor that no BERT has gets a name that the table does not have: it is refused. */
const tableName = (name: string): string => rename(name, /^blk\.(\d+)\./, "encoder.layer.", 1) ?? `gguf ${name}`;

function rename(name: string, layer: RegExp, prefix: string, from: 0 | 1): string | undefined {
  const match = layer.exec(name);
  const rest = match ? name.slice(match[0].length) : name;
  const end = rest.lastIndexOf(".");
  const stem = (match ? LAYER_STEMS : STEMS).find((pair) => pair[from] === rest.slice(0, end));
  return stem && `${match ? `${prefix}${match[1]}.` : ""}${stem[1 - from]}${rest.slice(end)}`;
}

/** @throws {ConfigError} a key is missing, or sizes no BERT can have. */
function readConfig({ source, metadata, tensors }: GgufFile): BertConfig {
  const need = (key: string): number => {
    const value = metadata.number(key);
    if (value === undefined) throw metadata.error(key, "a number");
    return value;
  };
  const sizes = Object.entries(SIZE_KEYS).map(([field, key]) => [field, need(key)]);
  if (metadata.boolean(CAUSAL_KEY)) throw metadata.error(CAUSAL_KEY, "false");
  const rows = (name: string): number => tensors.get(fileName(name))?.shape[0] ?? 0;
  const fields: Partial<BertConfig> = {
    ...Object.fromEntries(sizes),
    layerNormEpsilon: shortest(need(EPSILON_KEY)),
    vocabSize: rows("embeddings.word_embeddings.weight"),
    tokenTypes: rows("embeddings.token_type_embeddings.weight"),
    ...NO_PARTS,
  };
  return namingFile(source.name, () => bertConfig(fields));
}

const NO_PARTS = { pooler: false, maskedTokens: false, nextSentence: false, tieWordEmbeddings: true } as const;

/** The decimal number that was meant: files hold single precision. */
function shortest(value: number): number {
  const decimal = Number(value.toPrecision(7));
  return Math.fround(decimal) === value ? decimal : value;
}

/** @throws {ConfigError} an activation that llama.cpp's BERT does not compute. */
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
