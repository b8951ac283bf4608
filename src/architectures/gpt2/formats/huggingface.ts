import type { RawTensor } from "../../../checkpoint/raw-tensor.js";
import type { JsonObject } from "../../../checkpoint/strict-json.js";
import { ConfigJson } from "../../config-json.js";
import { type HuggingFaceMapping, namesBelow, namingFile } from "../../mapping.js";
import { type GPT2Config, gpt2Config } from "../config.js";

/** GPT-2 in transformers' files: fields of config.json, and tensor names of GPT2LMHeadModel. */

// ---------------------------------------------------------------- config.json

/** Switches, with their defaults. */
const SWITCHES = [
  ["tieWordEmbeddings", "tie_word_embeddings", true],
  ["scaleAttnWeights", "scale_attn_weights", true],
  ["scaleAttnByInverseLayerIdx", "scale_attn_by_inverse_layer_idx", false],
] as const;

/** Names of numbers in config.json: GPT-2's own first, then the common names that transformers accepts. */
const NUMBERS = [
  ["vocabSize", "vocab_size"],
  ["nCtx", "n_positions", "n_ctx", "max_position_embeddings"],
  ["nEmbd", "n_embd", "hidden_size"],
  ["nLayer", "n_layer", "num_hidden_layers"],
  ["nHead", "n_head", "num_attention_heads"],
  ["nInner", "n_inner"],
  ["layerNormEpsilon", "layer_norm_epsilon"],
] as const;

/**
 * The configuration in a config.json. A size that is missing or null is GPT-2's, as in transformers.
 *
 * @param file the file's path, for errors.
 * @throws {ConfigError} a size is impossible, or the file describes a variant that computes something else.
 */
function readConfig(json: JsonObject, file: string): GPT2Config {
  const reader = new ConfigJson(json, file);
  const activation = reader.activation("activation_function", "gelu_new");
  if (json.add_cross_attention) {
    reader.refuse("add_cross_attention", "false", "Only decoders by themselves can be read");
  }
  const sizes = reader.numbers(NUMBERS);
  const switches = SWITCHES.map(([key, field, usual]) => [key, reader.boolean(field, usual)] as const);
  return namingFile(file, () => gpt2Config({ activation, ...sizes, ...Object.fromEntries(switches) }));
}

/** The inverse of {@link readConfig}: transformers reads the same model from it. */
function writeConfig(config: GPT2Config): JsonObject {
  return {
    activation_function: config.activation,
    vocab_size: config.vocabSize,
    n_positions: config.nCtx,
    n_ctx: config.nCtx,
    n_embd: config.nEmbd,
    n_layer: config.nLayer,
    n_head: config.nHead,
    n_inner: config.nInner === 4 * config.nEmbd ? null : config.nInner,
    layer_norm_epsilon: config.layerNormEpsilon,
    ...Object.fromEntries(SWITCHES.map(([key, field]) => [field, config[key]])),
  };
}

// ---------------------------------------------------------------- tensors

/**
 * Tensors that are not parameters of the language model: buffers of older files with the causal mask, and additional heads
 * (of GPT2DoubleHeadsModel, and of TRL's models with a value head).
 */
const IGNORED = /^(h\.\d+\.attn\.(bias|masked_bias)$|(multiple_choice_head|v_head)\.)/;

/** Tells the order of dimensions by c_attn, which is three times as wide as it is high. */
export function matrixOrder(tensors: ReadonlyMap<string, RawTensor>): "in_out" | "out_in" {
  const [a = 0, b = 0] = tensors.get("h.0.attn.c_attn.weight")?.shape ?? [];
  return a > b ? "out_in" : "in_out";
}

export const GPT2_HUGGING_FACE: HuggingFaceMapping = {
  architecture: "gpt2",
  modelType: "gpt2",
  classOf: (_, head) => (head ? "GPT2ForSequenceClassification" : "GPT2LMHeadModel"),
  classPrefix: /^GPT2[A-Z]/,
  readConfig,
  writeConfig,
  ...namesBelow("transformer.", IGNORED),
  matrixOrder,
};
