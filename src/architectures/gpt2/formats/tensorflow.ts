import type { RawTensor } from "../../../checkpoint/raw-tensor.js";
import type { JsonObject } from "../../../checkpoint/strict-json.js";
import { ConfigError } from "../../../errors.js";
import { quote } from "../../../util/quote.js";
import { namingFile, type TensorFlowMapping } from "../../mapping.js";
import { type GPT2Config, gpt2Config } from "../config.js";

/**
 * Names in OpenAI's release of GPT-2 (github.com/openai/gpt-2, src/model.py) and in programs that train such checkpoints
 * further: variables of the scope `model`, and hparams.json.
 */

const SCOPE = "model/";

/** Our names for parts of a block or the model. */
const PARTS: Readonly<Record<string, string>> = { w: "weight", b: "bias", g: "weight" };

/**
 * A variable's name in the table: `model/h0/attn/c_attn/w` is `h.0.attn.c_attn.weight`. Undefined for variables that are not
 * part of the model: those of optimizers are outside the scope, or below a variable (`model/wte/Adam`).
 */
export function nameFromTensorFlow(variable: string): string | undefined {
  if (!variable.startsWith(SCOPE)) return undefined;
  const path = variable.slice(SCOPE.length).split("/");
  const [top = ""] = path;
  if (top === "wte" || top === "wpe") return path.length === 1 ? `${top}.weight` : undefined;
  const kind = path.findIndex((part) => Object.hasOwn(PARTS, part));
  if (kind !== -1 && kind < path.length - 1) return undefined;
  const names = path.map((part, i) => (i === kind ? PARTS[part]! : part));
  return names.join(".").replace(/^h(\d+)\./, "h.$1.");
}

/** The inverse of {@link nameFromTensorFlow}, for messages. */
export function nameInTensorFlow(name: string): string {
  const path = name.replace(/^h\.(\d+)\./, "h$1.").split(".");
  const part = path.pop() === "bias" ? "b" : path.at(-1)!.startsWith("ln_") ? "g" : "w";
  return SCOPE + (path[0] === "wte" || path[0] === "wpe" ? path[0] : [...path, part].join("/"));
}

const FIELDS = [
  ["vocabSize", "n_vocab"],
  ["nCtx", "n_ctx"],
  ["nEmbd", "n_embd"],
  ["nHead", "n_head"],
  ["nLayer", "n_layer"],
] as const;

/**
 * The configuration in hparams.json.
 *
 * @throws {ConfigError} a size is missing or impossible.
 */
function readConfig(json: JsonObject, file: string): GPT2Config {
  const sizes = FIELDS.map(([key, field]) => {
    const size = json[field];
    if (typeof size === "number") return [key, size] as const;
    throw new ConfigError({ op: `reading ${file}: ${field}`, expected: "a number", got: quote(size) });
  });
  return namingFile(file, () => gpt2Config(Object.fromEntries(sizes)));
}

/** Matrices are stored as convolutions of width 1, [1, in, out]. */
function withoutWidth(_: string, tensor: RawTensor): RawTensor {
  const [width, ...shape] = tensor.shape;
  return shape.length === 2 && width === 1 ? { ...tensor, shape } : tensor;
}

export const GPT2_TENSORFLOW: TensorFlowMapping = {
  configFile: "hparams.json",
  logical: withoutWidth,
  readConfig,
  tableName: nameFromTensorFlow,
  fileName: nameInTensorFlow,
};
