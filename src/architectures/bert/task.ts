import type { TaskHead } from "../task-head.js";
import { type TensorSpec, vectorSpec } from "../tensor-spec.js";
import type { BertConfig } from "./config.js";

/** Names of a task head's linear layer in transformers' classes. */
const CLASSIFIER = "classifier";
const SPANS = "qa_outputs";

/** Weight [labels, C] and bias [labels] of a task head. Heads for whole texts read the pooled state. */
export function taskTensors({ nEmbd }: BertConfig, { kind, labels }: TaskHead): TensorSpec[] {
  const name = kind === "spans" ? SPANS : CLASSIFIER;
  const shape = [labels.length, nEmbd];
  return [
    { name: `${name}.weight`, shape, conv1d: false, init: "normal", decay: true, layer: -1 },
    vectorSpec(`${name}.bias`, labels.length, -1),
  ];
}

export const isTaskTensor = (name: string): boolean =>
  name.startsWith(`${CLASSIFIER}.`) || name.startsWith(`${SPANS}.`);

/** The class of transformers with a task head: `BertForTokenClassification`; undefined without a head. */
export function taskClass(prefix: string, head: TaskHead | undefined): string | undefined {
  if (head === undefined) return undefined;
  if (head.kind === "tokens") return `${prefix}ForTokenClassification`;
  return head.kind === "spans" ? `${prefix}ForQuestionAnswering` : `${prefix}ForSequenceClassification`;
}
