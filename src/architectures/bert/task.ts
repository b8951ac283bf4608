import type { TaskHead } from "../task-head.js";
import { type TensorSpec, vectorSpec } from "../tensor-spec.js";
import type { BertConfig } from "./config.js";

/** Names of the linear layer of a task's head, as transformers' classes have them. */
const CLASSIFIER = "classifier";
const SPANS = "qa_outputs";

/** Weight [labels, C] and bias [labels] of a head for a task. Those for whole texts read the pooled state. */
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
