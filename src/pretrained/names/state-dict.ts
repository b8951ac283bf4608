import type { ModelConfig } from "../../architectures/config.js";
import { type GPT2Config, gpt2Config, requireGpt2 } from "../../architectures/gpt2/config.js";
import { tensorTable } from "../../architectures/registry.js";
import { SCORE } from "../../architectures/task-head.js";
import { numel, type TensorSpec } from "../../architectures/tensor-spec.js";
import {
  LLMC_HEADER_BYTES,
  type LlmcDims,
  type LlmcModel,
  type LlmcName,
  paddedVocabulary,
} from "../../checkpoint/llmc.js";
import { quote } from "../../checkpoint/quote.js";
import type { RawTensor } from "../../checkpoint/raw-tensor.js";
import { type StoredTensor, storedTensor } from "../../checkpoint/stored-tensor.js";
import type { JsonObject } from "../../checkpoint/strict-json.js";
import { FLOAT_BYTES, type FloatDtype } from "../../dtype/floats.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import type { Activation } from "../../program/activations.js";
import { HEAD, matchTensors } from "./match-tensors.js";

/**
 * What other programs call things: the one place with the names in checkpoint files and the fields of their
 * configurations, each direction beside its inverse.
 */

// ---------------------------------------------------------------- Hugging Face: config.json

/** Activations by all of transformers' names for them (transformers/activations.py); the first is what is written. */
const ACTIVATIONS: Readonly<Record<Activation, readonly string[]>> = {
  gelu_new: ["gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"],
  gelu: ["gelu", "gelu_python"],
  relu: ["relu"],
  silu: ["silu", "swish"],
  tanh: ["tanh"],
  quick_gelu: ["quick_gelu"],
};

/** Switches, with their values in a file that does not mention them. */
const SWITCHES = [
  ["tieWordEmbeddings", "tie_word_embeddings", true],
  ["scaleAttnWeights", "scale_attn_weights", true],
  ["scaleAttnByInverseLayerIdx", "scale_attn_by_inverse_layer_idx", false],
] as const;

/** Sizes by their names in config.json: GPT-2's own first, then the common ones that transformers accepts for them. */
const SIZE_FIELDS = [
  ["vocabSize", "vocab_size"],
  ["nCtx", "n_positions", "n_ctx", "max_position_embeddings"],
  ["nEmbd", "n_embd", "hidden_size"],
  ["nLayer", "n_layer", "num_hidden_layers"],
  ["nHead", "n_head", "num_attention_heads"],
  ["nInner", "n_inner"],
] as const;

export interface HuggingFaceConfig {
  readonly config: ModelConfig;
  readonly bosTokenId?: number;
  readonly eosTokenId?: number;
}

/**
 * The configuration in a config.json. A size that is missing, or null, is GPT-2's, as in transformers.
 *
 * @param file the file's path, for errors.
 * @throws {ConfigError} not a GPT-2, sizes no GPT-2 can have, or a variant that computes something else.
 */
export function configFromHuggingFace(json: JsonObject, file: string): HuggingFaceConfig {
  const refuse = (field: string, expected: string, hint?: string): never => {
    const details = { op: `reading ${file}: ${field}`, expected, got: quote(json[field]) };
    throw new ConfigError(hint === undefined ? details : { ...details, hint });
  };
  if (json.model_type !== "gpt2") refuse("model_type", '"gpt2"', "Only GPT-2 models can be read");
  const activation = json.activation_function ?? "gelu_new";
  const known = Object.entries(ACTIVATIONS).find(([, names]) => names.includes(activation as string));
  if (!known) refuse("activation_function", Object.values(ACTIVATIONS).flat().join(", "));
  if (json.add_cross_attention) refuse("add_cross_attention", "false", "Only decoders by themselves can be read");
  const sizes: Record<string, number | boolean | string> = { activation: known![0] };
  for (const [key, ...names] of [...SIZE_FIELDS, ["layerNormEpsilon", "layer_norm_epsilon"] as const]) {
    const field = names.find((name) => json[name] !== undefined && json[name] !== null);
    if (field === undefined) continue;
    if (typeof json[field] !== "number") refuse(field, "a number");
    sizes[key] = json[field] as number;
  }
  for (const [key, field, usual] of SWITCHES) {
    if (typeof (json[field] ?? usual) !== "boolean") refuse(field, "true or false");
    sizes[key] = (json[field] as boolean | null | undefined) ?? usual;
  }
  const config = namingFile(file, () => gpt2Config(sizes));
  return {
    config,
    ...tokenId("bosTokenId", json.bos_token_id, config),
    ...tokenId("eosTokenId", json.eos_token_id, config),
  };
}

/** Smaller models often keep GPT-2's 50256 in their files, a token they don't have: that is no token. */
function tokenId<K extends string>(key: K, id: unknown, { vocabSize }: ModelConfig): { [P in K]?: number } {
  const valid = Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabSize;
  return valid ? ({ [key]: id } as { [P in K]: number }) : {};
}

/** Runs `make` and lets a ConfigError say which file the numbers came from. */
export function namingFile<C extends ModelConfig>(file: string, make: () => C): C {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError({ ...error.details, op: `reading ${file}: ${error.details.op}` });
  }
}

const TORCH_DTYPES: Readonly<Record<FloatDtype, string>> = {
  f32: "float32",
  f16: "float16",
  bf16: "bfloat16",
  f64: "float64",
};

/** `<|endoftext|>` is the last token of a GPT-2 vocabulary; larger ones are GPT-2's, padded for speed. */
export function defaultEosTokenId(vocabSize: number): number {
  return Math.min(vocabSize - 1, 50256);
}

export interface SpecialTokens {
  readonly bosTokenId: number;
  readonly eosTokenId: number;
}

/** The inverse of {@link configFromHuggingFace}: a config.json that transformers reads as GPT2LMHeadModel. */
export function configToHuggingFace(model: ModelConfig, dtype: FloatDtype, tokens: SpecialTokens): JsonObject {
  const config = requireGpt2(model, "writing config.json");
  return {
    architectures: ["GPT2LMHeadModel"],
    model_type: "gpt2",
    activation_function: config.activation,
    vocab_size: config.vocabSize,
    n_positions: config.nCtx,
    n_ctx: config.nCtx,
    n_embd: config.nEmbd,
    n_layer: config.nLayer,
    n_head: config.nHead,
    n_inner: config.nInner === 4 * config.nEmbd ? null : config.nInner,
    layer_norm_epsilon: config.layerNormEpsilon,
    bos_token_id: tokens.bosTokenId,
    eos_token_id: tokens.eosTokenId,
    ...Object.fromEntries(SWITCHES.map(([key, field]) => [field, config[key]])),
    torch_dtype: TORCH_DTYPES[dtype],
  };
}

// ---------------------------------------------------------------- Hugging Face: tensors

const HF_PREFIX = "transformer.";
/** Buffers of older files that hold the causal mask, not parameters. */
const HF_MASK = /^h\.\d+\.attn\.(bias|masked_bias)$/;
/** Heads that stand beside the language model's: of GPT2DoubleHeadsModel, and of TRL's models with a value head. */
const HEADS_BESIDE = /^(multiple_choice_head|v_head)\./;

/** What GPT2LMHeadModel calls a tensor, or GPT2ForSequenceClassification. */
export function huggingFaceName({ name }: TensorSpec): string {
  return name === HEAD || name === SCORE ? name : HF_PREFIX + name;
}

/** Conv1D holds its matrix as [in, out]. */
export function huggingFaceShape(spec: TensorSpec): readonly number[] {
  return spec.conv1d ? [...spec.shape].reverse() : spec.shape;
}

/**
 * The model's tensors, in the order of the tensor table, from those of a GPT-2 by Hugging Face: {@link canonicalNames}, an
 * output head accepted where it repeats wte.
 *
 * @param weights the file to name when a tensor is missing.
 * @throws {CheckpointError} a tensor is missing, unknown, given twice, or of another shape or type than config says; or
 *   the head is not tied although config says so.
 */
export function tensorsFromHuggingFace(
  found: ReadonlyMap<string, RawTensor>,
  config: ModelConfig,
  weights: string,
): Map<string, StoredTensor> {
  return matchTensors(found, { config, weights, matrices: "in_out" });
}

/**
 * By name without prefix, which is that in the table; mask buffers and heads beside the language model's left out.
 *
 * @throws {CheckpointError} one with prefix and without.
 */
export function canonicalNames<T extends { readonly name: string }>(found: Iterable<T>, file: string): Map<string, T> {
  const byName = new Map<string, T>();
  for (const tensor of found) {
    const name = tensor.name.startsWith(HF_PREFIX) ? tensor.name.slice(HF_PREFIX.length) : tensor.name;
    if (HF_MASK.test(name) || HEADS_BESIDE.test(name)) continue;
    const other = byName.get(name);
    if (other !== undefined) {
      const got = `both ${quote(other.name)} and ${quote(tensor.name)}`;
      throw new CheckpointError({
        op: `reading ${file}: tensor ${quote(tensor.name)}`,
        expected: "one tensor of this name",
        got,
      });
    }
    byName.set(name, tensor);
  }
  return byName;
}

// ---------------------------------------------------------------- llm.c

/** llm.c's layer norms have this epsilon built in, and its feed-forward layers are 4C wide. */
const LLMC_EPSILON = 1e-5;

const LLMC_NAMES: Readonly<Record<string, LlmcName>> = {
  "wte.weight": "wte",
  "wpe.weight": "wpe",
  "ln_1.weight": "ln1w",
  "ln_1.bias": "ln1b",
  "attn.c_attn.weight": "qkvw",
  "attn.c_attn.bias": "qkvb",
  "attn.c_proj.weight": "attprojw",
  "attn.c_proj.bias": "attprojb",
  "ln_2.weight": "ln2w",
  "ln_2.bias": "ln2b",
  "mlp.c_fc.weight": "fcw",
  "mlp.c_fc.bias": "fcb",
  "mlp.c_proj.weight": "fcprojw",
  "mlp.c_proj.bias": "fcprojb",
  "ln_f.weight": "lnfw",
  "ln_f.bias": "lnfb",
};

/** Position in a llm.c file, in bytes, of a tensor of the table. */
export function llmcOffset(
  { name, layer }: TensorSpec,
  { tensors, dtype }: Pick<LlmcModel, "tensors" | "dtype">,
): number {
  const suffix = layer < 0 ? name : name.slice(`h.${layer}.`.length);
  const { offset, shape } = tensors.get(LLMC_NAMES[suffix]!)!;
  return LLMC_HEADER_BYTES + FLOAT_BYTES[dtype] * (offset + Math.max(layer, 0) * numel(shape));
}

/** @throws {ConfigError} sizes no GPT-2 can have. */
export function configFromLlmc({ dims, source }: LlmcModel): GPT2Config {
  const { V, maxT, C, L, NH } = dims;
  return namingFile(source.name, () =>
    gpt2Config({ vocabSize: V, nCtx: maxT, nEmbd: C, nLayer: L, nHead: NH, layerNormEpsilon: LLMC_EPSILON }),
  );
}

/** @throws {ConfigError} a variant, for a format that knows none. */
function checkPlain(config: GPT2Config, op: string): void {
  if (config.activation !== "gelu_new") {
    throw new ConfigError({ op, expected: "activation = gelu_new", got: config.activation });
  }
  for (const [key, , usual] of SWITCHES) {
    if (config[key] !== usual) throw new ConfigError({ op, expected: `${key} = ${usual}`, got: `${config[key]}` });
  }
}

/** The inverse of {@link configFromLlmc}. @throws {ConfigError} a model that llm.c's format cannot describe. */
export function configToLlmc(model: ModelConfig, file: string): LlmcDims {
  const op = `writing ${file}: llm.c format`;
  const config = requireGpt2(model, op);
  if (config.nInner !== 4 * config.nEmbd) {
    throw new ConfigError({ op, expected: `nInner = 4 nEmbd = ${4 * config.nEmbd}`, got: `${config.nInner}` });
  }
  checkPlain(config, op);
  // Compared as float32, in which other programs may have kept it.
  if (Math.fround(config.layerNormEpsilon) !== Math.fround(LLMC_EPSILON)) {
    throw new ConfigError({ op, expected: "layerNormEpsilon = 1e-5", got: `${config.layerNormEpsilon}` });
  }
  const { vocabSize: V, nCtx: maxT, nLayer: L, nHead: NH, nEmbd: C } = config;
  return { maxT, V, L, NH, C, paddedV: paddedVocabulary(V) };
}

/** The model's tensors, in the order of the tensor table; the vocabulary's padding rows are left out. */
export function tensorsFromLlmc(model: LlmcModel, config: ModelConfig): Map<string, StoredTensor> {
  const { source, dtype } = model;
  return new Map(
    tensorTable(config).map((spec) => {
      const { name, shape } = spec;
      return [name, storedTensor({ name, dtype, shape, storedAs: "out_in", source, offset: llmcOffset(spec, model) })];
    }),
  );
}
