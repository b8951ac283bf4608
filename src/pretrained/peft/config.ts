import { isJsonObject, type JsonObject } from "../../checkpoint/strict-json.js";
import { CheckpointError } from "../../errors.js";
import { quote } from "../../util/quote.js";

/**
 * PEFT's adapter_config.json (https://github.com/huggingface/peft, LoraConfig). Variants that compute anything but LoRA are
 * refused by name, and so are unknown fields unless they are switched off.
 */
export interface PeftConfig {
  /** Rank r of layers that {@link rankOf} does not list. */
  readonly rank: number;
  readonly alpha: number;
  /** Whether the scale is alpha / √r instead of alpha / r. */
  readonly rankStabilized: boolean;
  /** Used in training only. */
  readonly dropout: number;
  /** The model that the adapter was made for: a name or path on its maker's machine. */
  readonly baseModel: string | undefined;
  /** The task it was made for, such as TOKEN_CLS. */
  readonly taskType: string | undefined;
  /** Rank and alpha of a layer: `transformer.h.0.attn.c_attn`. */
  rankOf(layer: string): number;
  alphaOf(layer: string): number;
}

/** Fields about an adapter's training or location, which do not affect its results. */
const INERT = new Set([
  "alpha_pattern",
  "auto_mapping",
  "base_model_name_or_path",
  "bias",
  "corda_config",
  "ensure_weight_tying",
  "eva_config",
  "exclude_modules",
  "fan_in_fan_out",
  "inference_mode",
  "init_lora_weights",
  "layers_pattern",
  "layers_to_transform",
  "loftq_config",
  "lora_alpha",
  "lora_dropout",
  "lora_ga_config",
  "megatron_config",
  "megatron_core",
  "modules_to_save",
  "peft_type",
  "peft_version",
  "qalora_group_size",
  "r",
  "rank_pattern",
  "revision",
  "runtime_config",
  "target_modules",
  "task_type",
  "use_rslora",
]);

/** Initializations that also change the model's own weights, which the adapter's file lacks. */
const CHANGES_BASE = /^(pissa|olora|loftq|corda|lora_ga)/;

/** @param op what is being read, for errors: `reading adapter_config.json`. @throws {CheckpointError} */
export function parsePeftConfig(json: JsonObject, op: string): PeftConfig {
  const refuse = (field: string, expected: string, hint?: string): never => {
    const details = { op: `${op}: ${field}`, expected, got: quote(json[field]) };
    throw new CheckpointError(hint === undefined ? details : { ...details, hint });
  };
  if (json.peft_type !== "LORA") refuse("peft_type", '"LORA"', "Only LoRA adapters can be read");
  for (const [field, value] of Object.entries(json)) {
    if (!INERT.has(field) && !isOff(value)) refuse(quote(field), "no such variant of LoRA, or one that is off");
  }
  const init = json.init_lora_weights;
  if (typeof init === "string" && CHANGES_BASE.test(init)) {
    refuse("init_lora_weights", "an adapter that does not change the model's own weights", CONVERT_HINT);
  }
  const number = (field: string, standard: number, holds: (x: number) => boolean, expected: string): number => {
    const value = json[field] ?? standard;
    return typeof value === "number" && holds(value) ? value : refuse(field, expected);
  };
  const rank = number("r", 8, isRank, RANK);
  const alpha = number("lora_alpha", 8, Number.isFinite, "a number");
  const dropout = number("lora_dropout", 0, (p) => p >= 0 && p < 1, "a probability");
  if (typeof (json.use_rslora ?? false) !== "boolean") refuse("use_rslora", "true or false");
  const base = json.base_model_name_or_path ?? undefined;
  if (base !== undefined && typeof base !== "string") refuse("base_model_name_or_path", "a name");
  const ranks = pattern(json.rank_pattern, `${op}: rank_pattern`, isRank, RANK);
  const alphas = pattern(json.alpha_pattern, `${op}: alpha_pattern`, Number.isFinite, "a number");
  return {
    rank,
    alpha,
    dropout,
    rankStabilized: json.use_rslora === true,
    taskType: typeof json.task_type === "string" ? json.task_type : undefined,
    baseModel: base === "" ? undefined : (base as string | undefined),
    rankOf: (layer) => ranks(layer) ?? rank,
    alphaOf: (layer) => alphas(layer) ?? alpha,
  };
}

const CONVERT_HINT =
  "PEFT converts such an adapter to LoRA: save_pretrained with path_initial_model_for_weight_conversion";
const RANK = "an integer from 1 to 65536";
const isRank = (r: number): boolean => Number.isInteger(r) && r >= 1 && r <= 65536;

function isOff(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === null || value === false || (isJsonObject(value) && Object.keys(value).length === 0);
}

/** Regular expressions that are plain names. Others are refused: they could match, or cost, anything. */
const NAME = /^\^?[A-Za-z0-9_.]{1,200}$/;

/**
 * A table of values by suffixes of layer names, made of whole parts. The first match counts, as in PEFT, which takes them as
 * regular expressions after an optional `(.*\.)`.
 */
function pattern(
  json: unknown,
  op: string,
  holds: (value: number) => boolean,
  expected: string,
): (layer: string) => number | undefined {
  const table = json ?? {};
  if (!isJsonObject(table)) throw new CheckpointError({ op, expected: "an object", got: quote(json) });
  const entries = Object.entries(table).map(([key, value]): [string, number] => {
    if (!NAME.test(key)) throw new CheckpointError({ op, expected: "names of layers or their ends", got: quote(key) });
    if (typeof value !== "number" || !holds(value)) {
      throw new CheckpointError({ op: `${op}: ${key}`, expected, got: quote(value) });
    }
    return [key, value];
  });
  return (layer) => entries.find(([key]) => layer === key.replace("^", "") || endsWithParts(layer, key))?.[1];
}

const endsWithParts = (layer: string, key: string): boolean => layer.endsWith(`.${key}`);
