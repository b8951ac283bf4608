import type { ModelConfig } from "./config.js";
import { architectureOf } from "./registry.js";
import type { TensorSpec } from "./tensor-spec.js";

/**
 * A task head. GPT-2's (Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", section 3.2) is a
 * linear layer without bias on the final hidden state of a text's last token, in place of the output head. Other architectures
 * define theirs by `Architecture.task`.
 */
export interface TaskHead {
  /**
   * `classification`: a label for a text; `regression`: a number for a text, learned by mean squared error; `tokens`: a label for
   * each token; `spans`: the start and end of the answer to a question.
   */
  readonly kind: "classification" | "regression" | "tokens" | "spans";
  /** Names in the order of the head's outputs. Regression has one, spans have `start` and `end`. */
  readonly labels: readonly string[];
}

/** All tensors of a head. They follow those of the model's table. */
export const taskTensors = (config: ModelConfig, head: TaskHead): TensorSpec[] =>
  architectureOf(config).task?.(config, head) ?? [scoreSpec(config, head)];

/** Name of the weight of GPT-2's task head, as in transformers. */
export const SCORE = "score.weight";

/** [labels, C], initialized as transformers does. */
export function scoreSpec({ nEmbd }: ModelConfig, { labels }: TaskHead): TensorSpec {
  return { name: SCORE, shape: [labels.length, nEmbd], conv1d: false, init: "normal", decay: true, layer: -1 };
}

/** Whether a tensor belongs to a module that is trained whole beside an adapter. */
export const isOfWholeModule = (config: Pick<ModelConfig, "architecture">, name: string): boolean =>
  architectureOf(config).wholeModules?.some((module) => name.startsWith(`${module}.`)) === true;

/**
 * The configuration of a model with a task head. It has no output head: with tied embeddings the table of tensors lists none.
 */
export const headlessConfig = (config: ModelConfig, head: TaskHead): ModelConfig =>
  architectureOf(config).withHead?.(config, head) ?? { ...config, tieWordEmbeddings: true };
