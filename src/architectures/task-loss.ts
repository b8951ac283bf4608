import type { Recorder, Scalar, Tensor } from "../program/program.js";
import type { Adapter } from "./adapted-linear.js";
import type { ModelConfig } from "./config.js";
import { gradBuffer, paramBuffer } from "./declare.js";
import { headLoss } from "./head.js";
import type { Affine, Leaves } from "./params.js";
import { type TaskHead, taskTensors } from "./task-head.js";
import { taskInputOf } from "./training.js";

/** A model's parameters and their gradients, for what its heads read besides hidden states. */
export interface TaskModel {
  readonly p: Leaves<Tensor, Adapter>;
  readonly g: Leaves<Tensor | undefined, unknown>;
}

/**
 * The task's loss over the hidden states x [N, C], and with `grad` its gradients: dx is set, those of parameters accumulate.
 * Only the tokens with a target count; heads are so small that they are computed for all. Buffers: the head's tensors, their
 * gradients, losses [N], and without gradients scores [N, labels]. Classification, of texts and of tokens, has targets i32 [N],
 * negative where nothing counts; regression has negatives [N], minus the targets, counted [N], 1 where there is one, and slope
 * [N], 2 · counted · the loss's scale.
 */
export function taskLoss(
  k: Recorder,
  config: ModelConfig,
  head: TaskHead,
  x: Tensor,
  { p, g }: TaskModel,
  grad?: { readonly dx: Tensor; readonly scale: () => Scalar },
): void {
  const input = head.kind === "tokens" ? undefined : taskInputOf(config)?.(k, config, p, x);
  const [weight, bias] = taskTensors(config, head).map(({ name, shape }) => k.external(paramBuffer(name), shape));
  const gradients = grad && taskTensors(config, head).map(({ name, shape }) => k.external(gradBuffer(name), shape));
  const dinput = grad && (input ? k.temp("task.dinput", x.shape) : grad.dx);
  const io = { x: input?.out ?? x, weight: weight!, bias, losses: k.external("losses", [x.shape[0]!]) };
  const dhead = grad && { dx: dinput!, dweight: gradients![0], dbias: gradients![1], scale: grad.scale };
  if (head.kind === "regression") regressionLoss(k, io, dhead);
  else classLoss(k, head.labels.length, io, dhead);
  if (grad && input) input.backward(k, config, p, g, { dout: dinput!, dx: grad.dx });
}

interface HeadTensors extends Affine<Tensor | undefined> {
  readonly x: Tensor; // [N, C]
  readonly weight: Tensor; // [K, C]
  readonly losses: Tensor; // [N]
}

interface HeadGradients {
  readonly dx: Tensor;
  readonly dweight: Tensor | undefined;
  readonly dbias: Tensor | undefined;
  readonly scale: () => Scalar;
}

function classLoss(k: Recorder, K: number, io: HeadTensors, grad: HeadGradients | undefined): void {
  const { x, weight, bias, losses } = io;
  const [N, IC] = x.shape as [number, number];
  const targets = k.external("targets", [N], "i32");
  if (grad) {
    headLoss(k, weight, { x, targets, losses }, { ...grad, scale: grad.scale() }, bias);
    return;
  }
  const scores = k.external("scores", [N, K]);
  k.op("linearForward", "score", { out: scores, x, weight, bias }, { N, IC, OC: K }, { act: "none" });
  k.op("crossEntropy", "score.loss", { losses, logits: scores, targets }, { N, V: K }, { scale: 0 });
}

/** losses = counted · (x·w - target)², whose derivative by x·w is slope · (x·w - target). */
function regressionLoss(k: Recorder, io: HeadTensors, grad: HeadGradients | undefined): void {
  const { x, weight, bias, losses } = io;
  const [N, IC] = x.shape as [number, number];
  const column = (name: string): Tensor => k.external(name, [N, 1]);
  const temp = (name: string): Tensor => k.temp(`score.${name}`, [N, 1]);
  const size = { N, C: 1 };
  const scores = grad ? k.temp("score", [N, 1]) : column("scores");
  k.op("linearForward", "score", { out: scores, x, weight, bias }, { N, IC, OC: 1 }, { act: "none" });
  const [error, counted] = [temp("error"), temp("counted")];
  k.op("add", "score.error", { out: error, a: scores, b: column("negatives") }, size, {});
  k.op("multiply", "score.counted", { out: counted, a: error, b: column("counted") }, size, {});
  k.op("multiply", "score.loss", { out: losses, a: counted, b: error }, size, {});
  if (!grad) return;
  const { dx, dweight, dbias } = grad;
  const dout = temp("dout");
  k.op("multiply", "score.dout", { out: dout, a: error, b: column("slope") }, size, {});
  k.op("linearBackwardWeight", "score", { dweight, dbias, dout, x }, { N, IC, OC: 1 }, {});
  k.op("linearBackwardInput", "score", { dx, dout, weight }, { N, IC, OC: 1 }, { act: "none", accumulate: false });
}
