import type { ModelConfig } from "../../architectures/config.js";
import { headlessConfig, SCORE, scoreSpec, type TaskHead } from "../../architectures/task-head.js";
import { quote } from "../../checkpoint/quote.js";
import type { RawTensor } from "../../checkpoint/raw-tensor.js";
import type { StoredTensor } from "../../checkpoint/stored-tensor.js";
import { isJsonObject, type JsonObject } from "../../checkpoint/strict-json.js";
import { ConfigError } from "../../errors.js";
import { matchOne } from "../match-tensors.js";

/**
 * transformers' GPT2ForSequenceClassification: what a config.json says of its labels, and the weight of its head. A folder
 * of an adapter has the same fields in classifier.json, as PEFT keeps none.
 */

/** A head for a task in a file. */
export interface StoredHead extends TaskHead {
  /** [labels, C]. */
  readonly score: StoredTensor;
}

const KINDS: Readonly<Record<TaskHead["kind"], string>> = {
  classification: "single_label_classification",
  regression: "regression",
};

/** The fields of a config.json that describe the head. */
export function headToHuggingFace({ kind, labels }: TaskHead): JsonObject {
  return {
    problem_type: KINDS[kind],
    num_labels: labels.length,
    id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  };
}

/**
 * The head that a file has, if any: its labels `LABEL_0`, … where nothing names them; one output is regression and more are
 * classes, unless `problem_type` says otherwise, as in transformers.
 *
 * @param found the file's tensors by their names in the table; the head's is taken out
 * @param fields of config.json, or classifier.json; @param file its name, for errors
 * @throws {ConfigError} several labels for one text, several numbers, or labels that are not one for each output.
 */
export function takeHead(
  found: Map<string, RawTensor>,
  fields: JsonObject,
  config: ModelConfig,
  file: string,
): StoredHead | undefined {
  const tensor = found.get(SCORE);
  if (tensor === undefined) return undefined;
  found.delete(SCORE);
  const outputs = tensor.shape[0] ?? 0;
  const refuse = (field: string, expected: string): never => {
    throw new ConfigError({ op: `reading ${file}: ${field}`, expected, got: quote(fields[field]) });
  };
  const type = fields.problem_type ?? (outputs === 1 ? KINDS.regression : KINDS.classification);
  if (type !== KINDS.regression && type !== KINDS.classification) {
    refuse("problem_type", Object.values(KINDS).join(" or "));
  }
  const kind = type === KINDS.regression ? "regression" : "classification";
  if (kind === "regression" && outputs !== 1) refuse("problem_type", `regression with 1 output, not ${outputs}`);
  const labels = labelsOf(fields, outputs);
  if (labels === undefined) return refuse("id2label", `a name for each of ${outputs} outputs`);
  return { kind, labels, score: matchOne(tensor, scoreSpec(config, { kind, labels })) };
}

/** Undefined if they are not one for each output. */
function labelsOf({ id2label }: JsonObject, outputs: number): string[] | undefined {
  const names = Array.from({ length: outputs }, (_, i) => `LABEL_${i}`);
  if (id2label === undefined || id2label === null) return names;
  if (!isJsonObject(id2label) || Object.keys(id2label).length !== outputs) return undefined;
  const labels = names.map((_, i) => id2label[String(i)]);
  return labels.every((label) => typeof label === "string") ? (labels as string[]) : undefined;
}

/** The configuration of what is left without the head, where the file has no head for the vocabulary either. */
export function configBeside(head: StoredHead | undefined, found: ReadonlyMap<string, unknown>, config: ModelConfig) {
  return head && !found.has("lm_head.weight") ? headlessConfig(config) : config;
}
