import type { MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import type { GgufMetadata } from "../../../checkpoint/gguf/metadata.js";
import type { GgufFile } from "../../../checkpoint/gguf/read.js";
import { isCopy } from "../../../checkpoint/raw-tensor.js";
import { ConfigError } from "../../../errors.js";
import type { SizeField } from "../../config.js";
import { type GgufMapping, namingFile, renamedStems } from "../../mapping.js";
import { HEAD } from "../../tensor-spec.js";
import { type GPT2Config, gpt2Config } from "../config.js";

/** Names in GGUF files of the architecture `gpt2` (llama.cpp's src/models/gpt2.cpp and llama-arch.cpp). */

const SIZE_KEYS = {
  nCtx: "gpt2.context_length",
  nEmbd: "gpt2.embedding_length",
  nLayer: "gpt2.block_count",
  nInner: "gpt2.feed_forward_length",
  nHead: "gpt2.attention.head_count",
} as const satisfies Partial<Record<SizeField, string>>;

const EPSILON_KEY = "gpt2.attention.layer_norm_epsilon";

/** Keys that other programs write, with the only value that a GPT-2 can have. */
const VOCABULARY_KEY = "gpt2.vocab_size";
const KEY_VALUE_HEADS_KEY = "gpt2.attention.head_count_kv";

const NAMES = renamedStems({
  outside: [
    ["wte", "token_embd"],
    ["wpe", "position_embd"],
    ["ln_f", "output_norm"],
    ["lm_head", "output"],
  ],
  inBlock: [
    ["ln_1", "attn_norm"],
    ["attn.c_attn", "attn_qkv"],
    ["attn.c_proj", "attn_output"],
    ["ln_2", "ffn_norm"],
    ["mlp.c_fc", "ffn_up"],
    ["mlp.c_proj", "ffn_down"],
  ],
  block: ["h.", "blk."],
});

/** `h.3.attn.c_attn.weight` is `blk.3.attn_qkv.weight`. */
export const ggufName = (name: string): string => NAMES.toFile(name) ?? name;

/** The inverse of {@link ggufName}. An unknown tensor gets a name that is not in the table, which refuses it. */
const tableName = (name: string): string => NAMES.toTable(name) ?? `gguf ${name}`;

/**
 * The configuration in a file's metadata. The token embedding gives the size of the vocabulary. The output head is tied if it is
 * missing, or a copy of the embedding.
 *
 * @throws {ConfigError} a key is missing, or a size is impossible.
 */
function readConfig({ source, metadata, tensors }: GgufFile): GPT2Config {
  const config: Partial<Record<SizeField, number>> & { tieWordEmbeddings?: boolean } = {};
  for (const [field, key] of Object.entries(SIZE_KEYS)) {
    config[field as SizeField] = metadata.needNumber(key, "a size");
  }
  config.layerNormEpsilon = metadata.needDecimal(EPSILON_KEY);
  const wte = tensors.get(ggufName("wte.weight"));
  const rows = wte?.shape[0] ?? metadata.number(VOCABULARY_KEY);
  if (rows !== undefined) config.vocabSize = rows;
  const head = tensors.get(ggufName(HEAD));
  config.tieWordEmbeddings = head === undefined || (wte !== undefined && isCopy(head, wte));
  checkSame(metadata, KEY_VALUE_HEADS_KEY, config.nHead as number);
  checkSame(metadata, VOCABULARY_KEY, config.vocabSize as number);
  return namingFile(source.name, () => gpt2Config(config));
}

/** Checks a key that may be missing, but allows only one value. */
function checkSame(metadata: GgufMetadata, key: string, expected: number): void {
  const value = metadata.number(key) ?? expected;
  if (value !== expected) throw metadata.error(key, `${expected}, or no such key`);
}

/**
 * The inverse of {@link readConfig}.
 *
 * @throws {ConfigError} the architecture is another, or llama.cpp's GPT-2 does not compute this variant.
 */
function writeConfig(config: GPT2Config, file: string): MetadataEntry[] {
  for (const [field, usual] of [
    ["activation", "gelu_new"],
    ["scaleAttnWeights", true],
    ["scaleAttnByInverseLayerIdx", false],
  ] as const) {
    if (config[field] === usual) continue;
    const op = `writing ${file}: GGUF format`;
    throw new ConfigError({ op, expected: `${field} = ${usual}`, got: `${config[field]}` });
  }
  const sizes = Object.entries(SIZE_KEYS).map(
    ([field, key]): MetadataEntry => [key, "u32", config[field as SizeField]],
  );
  return [...sizes, [EPSILON_KEY, "f32", config.layerNormEpsilon], [VOCABULARY_KEY, "u32", config.vocabSize]];
}

export const GPT2_GGUF: GgufMapping = {
  architecture: "gpt2",
  ggufArchitecture: "gpt2",
  readConfig,
  writeConfig,
  tableName,
  fileName: ggufName,
};
