import type { Recorder, Scalar, Tensor } from "../program/program.js";
import type { ModelConfig } from "./config.js";
import { gradBuffer, paramBuffer } from "./declare.js";
import { headLoss } from "./head.js";
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

/**
 * The configuration of a model with such a head, which has no output head: tied embeddings keep one out of the table of
 * tensors.
 */
export const headlessConfig = <C extends ModelConfig>(config: C): C => ({ ...config, tieWordEmbeddings: true });

/**
 * The task's loss over the hidden states x [N, C] after the final layer norm, and with `grad` its gradients: dx is set, the
 * weight's accumulates. Only the last tokens of texts count; the head is so small that it is computed for all. Buffers: the
 * weight, its gradient, losses [N], and without gradients scores [N, labels]. Classification has targets i32 [N], negative
 * where nothing counts; regression has negatives [N], minus the targets, counted [N], 1 where there is one, and slope [N],
 * 2 · counted · the loss's scale.
 */
export function taskLoss(
  k: Recorder,
  config: ModelConfig,
  head: TaskHead,
  x: Tensor,
  grad?: { readonly dx: Tensor; readonly scale: () => Scalar },
): void {
  const [N, K] = [x.shape[0] as number, head.labels.length];
  const { shape } = scoreSpec(config, head);
  const weight = k.external(paramBuffer(SCORE), shape);
  const dweight = grad && k.external(gradBuffer(SCORE), shape);
  const losses = k.external("losses", [N]);
  if (head.kind === "regression") {
    regressionLoss(k, { x, weight, losses }, grad && { dx: grad.dx, dweight: dweight! });
    return;
  }
  const targets = k.external("targets", [N], "i32");
  if (grad) {
    const gradients = { dx: grad.dx, dweight, scale: grad.scale() };
    headLoss(k, weight, { x, targets, losses }, gradients);
    return;
  }
  const scores = k.external("scores", [N, K]);
  k.op("linearForward", "score", { out: scores, x, weight }, { N, IC: config.nEmbd, OC: K }, { act: "none" });
  k.op("crossEntropy", "score.loss", { losses, logits: scores, targets }, { N, V: K }, { scale: 0 });
}

interface RegressionTensors {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly losses: Tensor;
}

/** losses = counted · (x·w - target)², whose derivative by x·w is slope · (x·w - target). */
function regressionLoss(
  k: Recorder,
  { x, weight, losses }: RegressionTensors,
  grad?: { readonly dx: Tensor; readonly dweight: Tensor },
): void {
  const [N, IC] = x.shape as [number, number];
  const column = (name: string): Tensor => k.external(name, [N, 1]);
  const temp = (name: string): Tensor => k.temp(`score.${name}`, [N, 1]);
  const size = { N, C: 1 };
  const scores = grad ? k.temp("score", [N, 1]) : column("scores");
  k.op("linearForward", "score", { out: scores, x, weight }, { N, IC, OC: 1 }, { act: "none" });
  const [error, counted] = [temp("error"), temp("counted")];
  k.op("add", "score.error", { out: error, a: scores, b: column("negatives") }, size, {});
  k.op("multiply", "score.counted", { out: counted, a: error, b: column("counted") }, size, {});
  k.op("multiply", "score.loss", { out: losses, a: counted, b: error }, size, {});
  if (!grad) return;
  const dout = temp("dout");
  k.op("multiply", "score.dout", { out: dout, a: error, b: column("slope") }, size, {});
  k.op("linearBackwardWeight", "score", { dweight: grad.dweight, dout, x }, { N, IC, OC: 1 }, {});
  const input = { dx: grad.dx, dout, weight };
  k.op("linearBackwardInput", "score", input, { N, IC, OC: 1 }, { act: "none", accumulate: false });
}
