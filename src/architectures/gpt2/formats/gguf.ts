import type { MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import type { GgufMetadata } from "../../../checkpoint/gguf/metadata.js";
import type { GgufFile } from "../../../checkpoint/gguf/read.js";
import { isCopy } from "../../../checkpoint/raw-tensor.js";
import { ConfigError } from "../../../errors.js";
import type { SizeField } from "../../config.js";
import { type GgufMapping, namingFile } from "../../mapping.js";
import { HEAD } from "../../tensor-spec.js";
import { type GPT2Config, gpt2Config } from "../config.js";

/** What GGUF files of the architecture `gpt2` call things (llama.cpp's src/models/gpt2.cpp and llama-arch.cpp). */

const SIZE_KEYS = {
  nCtx: "gpt2.context_length",
  nEmbd: "gpt2.embedding_length",
  nLayer: "gpt2.block_count",
  nInner: "gpt2.feed_forward_length",
  nHead: "gpt2.attention.head_count",
} as const satisfies Partial<Record<SizeField, string>>;

const EPSILON_KEY = "gpt2.attention.layer_norm_epsilon";

/** Keys that other programs write with the value that GPT-2 has anyway. */
const VOCABULARY_KEY = "gpt2.vocab_size";
const KEY_VALUE_HEADS_KEY = "gpt2.attention.head_count_kv";

/** Parts of tensors' names, this package's and GGUF's. */
const STEMS: readonly (readonly [ours: string, gguf: string])[] = [
  ["wte", "token_embd"],
  ["wpe", "position_embd"],
  ["ln_f", "output_norm"],
  ["lm_head", "output"],
];
const LAYER_STEMS: readonly (readonly [ours: string, gguf: string])[] = [
  ["ln_1", "attn_norm"],
  ["attn.c_attn", "attn_qkv"],
  ["attn.c_proj", "attn_output"],
  ["ln_2", "ffn_norm"],
  ["mlp.c_fc", "ffn_up"],
  ["mlp.c_proj", "ffn_down"],
];

/** `h.3.attn.c_attn.weight` is `blk.3.attn_qkv.weight`. */
export function ggufName(name: string): string {
  return rename(name, /^h\.(\d+)\./, "blk.", 0) ?? name;
}

/** The inverse of {@link ggufName}. A tensor that no GPT-2 has gets a name that the table does not have: it is refused. */
const tableName = (name: string): string => rename(name, /^blk\.(\d+)\./, "h.", 1) ?? `gguf ${name}`;

function rename(name: string, layer: RegExp, prefix: string, from: 0 | 1): string | undefined {
  const match = layer.exec(name);
  const rest = match ? name.slice(match[0].length) : name;
  const end = rest.lastIndexOf(".");
  const stem = (match ? LAYER_STEMS : STEMS).find((pair) => pair[from] === rest.slice(0, end));
  return stem && `${match ? `${prefix}${match[1]}.` : ""}${stem[1 - from]}${rest.slice(end)}`;
}

/**
 * The configuration in a file's metadata; the vocabulary is as large as the token embedding, and the head tied if there is
 * none or it is a copy of it.
 *
 * @throws {ConfigError} a key is missing, or sizes no GPT-2 can have.
 */
function readConfig({ source, metadata, tensors }: GgufFile): GPT2Config {
  const config: Partial<Record<SizeField, number>> & { tieWordEmbeddings?: boolean } = {};
  for (const [field, key] of Object.entries(SIZE_KEYS)) {
    config[field as SizeField] = metadata.number(key) ?? missingKey(metadata, key, "a size");
  }
  config.layerNormEpsilon = shortest(metadata.number(EPSILON_KEY) ?? missingKey(metadata, EPSILON_KEY, "a number"));
  const wte = tensors.get(ggufName("wte.weight"));
  const rows = wte?.shape[0] ?? metadata.number(VOCABULARY_KEY);
  if (rows !== undefined) config.vocabSize = rows;
  const head = tensors.get(ggufName(HEAD));
  config.tieWordEmbeddings = head === undefined || (wte !== undefined && isCopy(head, wte));
  checkSame(metadata, KEY_VALUE_HEADS_KEY, config.nHead as number);
  checkSame(metadata, VOCABULARY_KEY, config.vocabSize as number);
  return namingFile(source.name, () => gpt2Config(config));
}

function missingKey(metadata: GgufMetadata, key: string, expected: string): never {
  throw metadata.error(key, expected);
}

/** A key that a file may have, but only with one value. */
function checkSame(metadata: GgufMetadata, key: string, expected: number): void {
  const value = metadata.number(key) ?? expected;
  if (value !== expected) throw metadata.error(key, `${expected}, or no such key`);
}

/** The decimal number that was meant: files hold single precision, in which 1e-5 is 9.99999974737875e-6. */
function shortest(value: number): number {
  const decimal = Number(value.toPrecision(7));
  return Math.fround(decimal) === value ? decimal : value;
}

/**
 * The inverse of {@link readConfig}.
 *
 * @throws {ConfigError} another architecture, or a variant that llama.cpp's GPT-2 does not compute.
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
