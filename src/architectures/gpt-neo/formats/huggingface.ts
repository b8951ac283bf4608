import type { JsonObject } from "../../../checkpoint/strict-json.js";
import { MAX_LAYERS } from "../../config.js";
import { ConfigJson } from "../../config-json.js";
import { type HuggingFaceMapping, namesBelow, namingFile } from "../../mapping.js";
import { type AttentionType, type GPTNeoConfig, gptNeoConfig } from "../config.js";

/** GPT-Neo in transformers' files: fields of config.json, and tensor names of GPTNeoForCausalLM. */

/** Names of sizes in config.json: GPT-Neo's own first, then the common names that transformers accepts. */
const NUMBERS = [
  ["vocabSize", "vocab_size"],
  ["nCtx", "max_position_embeddings"],
  ["nEmbd", "hidden_size"],
  ["nLayer", "num_layers", "num_hidden_layers"],
  ["nHead", "num_heads", "num_attention_heads"],
  ["nInner", "intermediate_size"],
  ["windowSize", "window_size"],
  ["layerNormEpsilon", "layer_norm_epsilon"],
] as const;

/** transformers' defaults for missing sizes: those of GPT-Neo 1.3B. */
const DEFAULTS = { nEmbd: 2048, nLayer: 24, nHead: 16 } as const;

/** The default of `attention_types`. */
const TYPES = [[["global", "local"], 12]];

/** @throws {ConfigError} a size is impossible, or there is not one type of attention for each layer. */
function readConfig(json: JsonObject, file: string): GPTNeoConfig {
  const reader = new ConfigJson(json, file);
  const sizes = { ...DEFAULTS, ...reader.numbers(NUMBERS) };
  const fields = {
    ...sizes,
    activation: reader.activation("activation_function", "gelu_new"),
    tieWordEmbeddings: reader.boolean("tie_word_embeddings", true),
    attentionLayers: readAttention(reader, sizes.nLayer),
  };
  return namingFile(file, () => gptNeoConfig(fields));
}

/** `[[["global", "local"], 2]]` is global, local, global, local. transformers reads it, and ignores `attention_layers`. */
function readAttention(reader: ConfigJson, nLayer: number): AttentionType[] {
  const field = "attention_types";
  const expected = `pairs of types and repetitions for ${nLayer} layers, such as [[["global", "local"], 6]]`;
  const pairs = reader.json[field] ?? TYPES;
  if (!Array.isArray(pairs)) return reader.refuse(field, expected);
  const layers: AttentionType[] = [];
  for (const pair of pairs) {
    const [types, times] = Array.isArray(pair) ? pair : [];
    if (!Array.isArray(types) || !Number.isInteger(times)) return reader.refuse(field, expected);
    // Repetitions are counted before they are made: the file may be hostile.
    if (layers.length + types.length * times > Math.min(nLayer, MAX_LAYERS)) return reader.refuse(field, expected);
    for (let i = 0; i < times; i++) layers.push(...(types as AttentionType[]));
  }
  return layers.length === nLayer ? layers : reader.refuse(field, expected);
}

/** The inverse of {@link readConfig}: transformers reads the same model from it. */
function writeConfig(config: GPTNeoConfig): JsonObject {
  const { attentionLayers } = config;
  return {
    activation_function: config.activation,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.nCtx,
    hidden_size: config.nEmbd,
    num_layers: config.nLayer,
    num_heads: config.nHead,
    intermediate_size: config.nInner === 4 * config.nEmbd ? null : config.nInner,
    window_size: config.windowSize,
    layer_norm_epsilon: config.layerNormEpsilon,
    attention_types: attentionTypes(attentionLayers),
    attention_layers: [...attentionLayers],
    tie_word_embeddings: config.tieWordEmbeddings,
  };
}

/** The form of transformers' own files if layers alternate, else runs of equal layers. */
function attentionTypes(layers: readonly AttentionType[]): [AttentionType[], number][] {
  const pair = layers.slice(0, 2);
  const alternate = layers.length % 2 === 0 && layers.every((type, i) => type === pair[i % 2]);
  if (alternate) return [[pair, layers.length / 2]];
  const runs: [AttentionType[], number][] = [];
  for (const type of layers) {
    const last = runs.at(-1);
    if (last?.[0][0] === type) last[1]++;
    else runs.push([[type], 1]);
  }
  return runs;
}

/** Buffers of older files with the causal mask, which are not parameters. */
const MASK = /^h\.\d+\.attn\.attention\.(bias|masked_bias)$/;

export const GPT_NEO_HUGGING_FACE: HuggingFaceMapping = {
  architecture: "gpt-neo",
  modelType: "gpt_neo",
  classOf: (_, head) => (head ? "GPTNeoForSequenceClassification" : "GPTNeoForCausalLM"),
  // GPT-NeoX is another architecture.
  classPrefix: /^GPTNeo(?!X)[A-Z]/,
  readConfig,
  writeConfig,
  ...namesBelow("transformer.", MASK),
};
