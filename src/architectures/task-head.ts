import type { ModelConfig } from "./config.js";
import { architectureOf } from "./registry.js";
import type { TensorSpec } from "./tensor-spec.js";

/**
 * A head for a task. GPT-2's (Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", section 3.2): a
 * linear layer without bias on the final hidden state of a text's last token, in place of the output head. Other architectures
 * say theirs: `Architecture.task`.
 */
export interface TaskHead {
  /**
   * `classification` of a text; `regression`: one number for it, learned by mean squared error; `tokens`: a label of each
   * token; `spans`: where the answer to a question starts and ends.
   */
  readonly kind: "classification" | "regression" | "tokens" | "spans";
  /** In the order of the head's outputs; one for regression, `start` and `end` for spans. */
  readonly labels: readonly string[];
}

/** Every tensor of a head; they come after those of the model's table. */
export const taskTensors = (config: ModelConfig, head: TaskHead): TensorSpec[] =>
  architectureOf(config).task?.(config, head) ?? [scoreSpec(config, head)];

/** Name of the weight of GPT-2's, as in transformers. */
export const SCORE = "score.weight";

/** [labels, C], initialised as transformers does. */
export function scoreSpec({ nEmbd }: ModelConfig, { labels }: TaskHead): TensorSpec {
  return { name: SCORE, shape: [labels.length, nEmbd], conv1d: false, init: "normal", decay: true, layer: -1 };
}

/** Whether a tensor belongs to a module that is trained whole beside an adapter. */
export const isOfWholeModule = (config: Pick<ModelConfig, "architecture">, name: string): boolean =>
  architectureOf(config).wholeModules?.some((module) => name.startsWith(`${module}.`)) === true;

/**
 * The configuration of a model with such a head, which has no output head: tied embeddings keep one out of the table of
 * tensors.
 */
export const headlessConfig = (config: ModelConfig, head: TaskHead): ModelConfig =>
  architectureOf(config).withHead?.(config, head) ?? { ...config, tieWordEmbeddings: true };
