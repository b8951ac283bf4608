import { ConfigError } from "../errors.js";
import type { Architecture } from "./architecture.js";
import { BERT } from "./bert/architecture.js";
import type { BertConfig } from "./bert/config.js";
import type { ModelConfig } from "./config.js";
import { GPTNeo } from "./gpt-neo/architecture.js";
import type { GPTNeoConfig } from "./gpt-neo/config.js";
import { GPT2 } from "./gpt2/architecture.js";
import type { GPT2Config } from "./gpt2/config.js";
import { numel, type TensorSpec } from "./tensor-spec.js";

/** All architectures, by name. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map(
  ([GPT2, GPTNeo, BERT] as unknown as Architecture[]).map((architecture) => [architecture.name, architecture]),
);

/** Fields of a model's configuration; of a GPT-2 unless `architecture` is given. */
export type ConfigFields = Partial<GPT2Config> | Partial<GPTNeoConfig> | Partial<BertConfig> | ModelConfig;

/** @throws {ConfigError} there is no such architecture. */
export function architectureOf({ architecture }: Pick<ModelConfig, "architecture">): Architecture {
  const found = ARCHITECTURES.get(architecture);
  if (found) return found;
  const expected = [...ARCHITECTURES.keys()].join(" or ");
  throw new ConfigError({ op: "architecture", expected, got: String(architecture) });
}

/** The fields of a published shape. @throws {ConfigError} there is no shape of this name. */
export function presetOf(name: string): ConfigFields {
  for (const { name: architecture, presets } of ARCHITECTURES.values()) {
    if (Object.hasOwn(presets, name)) return { architecture, ...presets[name] } as ConfigFields;
  }
  const expected = [...ARCHITECTURES.values()].flatMap(({ presets }) => Object.keys(presets)).join(", ");
  throw new ConfigError({ op: "shape of a model", expected, got: name });
}

/**
 * Completes and checks a configuration from the name of a published shape, or from the fields that differ from the smallest.
 *
 * @throws {ConfigError} the name is unknown, or a size is impossible.
 */
export function modelConfig(given: string | ConfigFields): ModelConfig {
  const fields = typeof given === "string" ? presetOf(given) : given;
  return architectureOf({ architecture: fields.architecture ?? "gpt2" }).complete(fields);
}

/** Every tensor of a model, in checkpoint order. */
export const tensorTable = (config: ModelConfig): TensorSpec[] => architectureOf(config).tensors(config);

/** Number of parameters. A head tied to the embedding counts once. */
export const parameterCount = (config: ModelConfig): number =>
  tensorTable(config).reduce((n, { shape }) => n + numel(shape), 0);
