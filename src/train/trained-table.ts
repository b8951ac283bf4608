import type { ModelConfig } from "../architectures/config.js";
import type { ParamTypes } from "../architectures/declare.js";
import type { TrainProgramOptions } from "../architectures/programs.js";
import { tensorTable } from "../architectures/registry.js";
import { type TaskHead, taskTensors } from "../architectures/task-head.js";
import type { TensorSpec } from "../architectures/tensor-spec.js";
import type { LoraPlan, LoraSettings } from "./lora-settings.js";
import type { TrainSettings } from "./settings.js";

/** The trained tensors of a run: the whole model or an adapter, and the task head. */
export function trainedTable(
  config: ModelConfig,
  plan: LoraPlan | undefined,
  head: TaskHead | undefined,
): TensorSpec[] {
  return [...(plan?.table ?? tensorTable(config)), ...(head ? taskTensors(config, head) : [])];
}

/** Options of the training Programs, also for planning their memory. */
export function trainOptions(
  { dropout, recompute, precision, seqLength }: TrainSettings,
  settings: LoraSettings | undefined,
  plan: LoraPlan | undefined,
  types?: ParamTypes,
  head?: TaskHead | undefined,
): TrainProgramOptions {
  const common = { dropout, recompute: recompute === 1, precision, head, seqLength };
  if (settings === undefined || plan === undefined) return common;
  return { ...common, types, trained: plan.extras, lora: { ranks: plan.ranks, dropout: settings.dropout } };
}
