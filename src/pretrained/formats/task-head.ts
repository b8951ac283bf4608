import type { ModelConfig } from "../../architectures/config.js";
import type { HuggingFaceMapping } from "../../architectures/mapping.js";
import { architectureOf } from "../../architectures/registry.js";
import { headlessConfig, type TaskHead, taskTensors } from "../../architectures/task-head.js";
import type { RawTensor } from "../../checkpoint/raw-tensor.js";
import type { StoredTensor } from "../../checkpoint/stored-tensor.js";
import { isJsonObject, type JsonObject } from "../../checkpoint/strict-json.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import { matchOne } from "../match-tensors.js";

/**
 * Task heads in transformers' files: tensors, and the fields of config.json about labels. An adapter's folder has the same
 * fields in classifier.json, because PEFT does not store them.
 */

/** A task head in a file. */
export interface StoredHead extends TaskHead {
  /** Tensors by name: the weight [labels, C] and, if the architecture has one, the bias [labels]. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

const PROBLEM_TYPES = { classification: "single_label_classification", regression: "regression" } as const;

/** The fields of a config.json that describe the head. */
export function headToHuggingFace({ kind, labels }: TaskHead): JsonObject {
  if (kind === "spans") return {};
  return {
    ...(kind !== "tokens" && { problem_type: PROBLEM_TYPES[kind] }),
    num_labels: labels.length,
    id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  };
}

/**
 * The head of a file, if any. Labels without names are `LABEL_0`, … One output means regression, several mean classes, unless
 * `problem_type` says otherwise, as in transformers.
 *
 * @param found the file's tensors by their names in the table; the head's are removed
 * @param fields those of config.json or classifier.json
 * @param file its name, for errors
 * @throws {ConfigError} a text has several labels or numbers, or there is not one label for each output.
 */
export function takeHead(
  found: Map<string, RawTensor>,
  fields: JsonObject,
  config: ModelConfig,
  file: string,
): StoredHead | undefined {
  const kinds = ["classification", "spans"] as const;
  const first = (kind: TaskHead["kind"]): string => taskTensors(config, { kind, labels: [""] })[0]!.name;
  const kind = kinds.find((kind) => found.has(first(kind)));
  if (kind === undefined) return undefined;
  const outputs = found.get(first(kind))!.shape[0] ?? 0;
  const head = kind === "spans" ? spansHead(outputs, file) : labelledHead(fields, outputs, config, file);
  const tensors = taskTensors(config, head).flatMap((spec) => {
    const tensor = found.get(spec.name);
    found.delete(spec.name);
    if (tensor) return [[spec.name, matchOne(tensor, spec)] as const];
    const expected = `shape [${spec.shape.join(", ")}]`;
    throw new CheckpointError({ op: `reading ${file}: tensor ${spec.name}`, expected, got: "no such tensor" });
  });
  return { ...head, tensors: new Map(tensors) };
}

function spansHead(outputs: number, file: string): TaskHead {
  if (outputs === 2) return { kind: "spans", labels: ["start", "end"] };
  const op = `reading ${file}: question answering`;
  throw new ConfigError({ op, expected: "2 outputs, for the start and the end", got: String(outputs) });
}

function labelledHead(fields: JsonObject, outputs: number, config: ModelConfig, file: string): TaskHead {
  const refuse = (field: string, expected: string): never => {
    throw new ConfigError({ op: `reading ${file}: ${field}`, expected, got: quote(fields[field]) });
  };
  const labels = labelsOf(fields, outputs) ?? refuse("id2label", `a name for each of ${outputs} outputs`);
  if (isForTokens(fields, config)) return { kind: "tokens", labels };
  const { classification, regression } = PROBLEM_TYPES;
  const type = fields.problem_type ?? (outputs === 1 ? regression : classification);
  if (type !== regression && type !== classification) refuse("problem_type", `${classification} or ${regression}`);
  const kind = type === regression ? "regression" : "classification";
  if (kind === "regression" && outputs !== 1) refuse("problem_type", `regression with 1 output, not ${outputs}`);
  return { kind, labels };
}

/** Heads for texts and for tokens have the same names in transformers: the class tells them apart. GPT-2's for tokens is not read. */
function isForTokens({ architectures }: JsonObject, config: ModelConfig): boolean {
  const [name] = Array.isArray(architectures) ? architectures : [];
  return architectureOf(config).task !== undefined && /ForTokenClassification$/.test(String(name));
}

/** Undefined unless there is one for each output. */
function labelsOf({ id2label }: JsonObject, outputs: number): string[] | undefined {
  const names = Array.from({ length: outputs }, (_, i) => `LABEL_${i}`);
  if (id2label === undefined || id2label === null) return names;
  if (!isJsonObject(id2label) || Object.keys(id2label).length !== outputs) return undefined;
  const labels = names.map((_, i) => id2label[String(i)]);
  return labels.every((label) => typeof label === "string") ? (labels as string[]) : undefined;
}

/** The configuration of the rest of the model, if the file has no output head either. */
export function configBeside(
  head: StoredHead | undefined,
  found: ReadonlyMap<string, unknown>,
  config: ModelConfig,
  mapping: HuggingFaceMapping,
): ModelConfig {
  if (mapping.withPartsOf) return mapping.withPartsOf(config, found);
  return head && !found.has("lm_head.weight") ? headlessConfig(config, head) : config;
}
