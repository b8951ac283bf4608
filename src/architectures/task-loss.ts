import type { Recorder, Scalar, Tensor } from "../program/program.js";
import type { Adapter } from "./adapted-linear.js";
import type { ModelConfig } from "./config.js";
import { gradBuffer, paramBuffer } from "./declare.js";
import { headLoss } from "./head.js";
import type { Affine, Leaves } from "./params.js";
import { type TaskHead, taskTensors } from "./task-head.js";
import { taskInputOf } from "./training.js";

/** A head, and the tokens in a sequence, over each of which spans have their loss. */
export interface TrainedHead extends TaskHead {
  readonly seqLength?: number | undefined;
}

/** A model's parameters and their gradients, for what its heads read besides hidden states. */
export interface TaskModel {
  readonly p: Leaves<Tensor, Adapter>;
  readonly g: Leaves<Tensor | undefined, unknown>;
}

/**
 * The task's loss over the hidden states x [N, C], and with `grad` its gradients: dx is set, those of parameters accumulate.
 * Only the tokens with a target count; heads are so small that they are computed for all. Buffers: the head's tensors, their
 * gradients, losses [N], and without gradients scores [N, labels]. Classification, of texts and of tokens, has targets i32 [N],
 * negative where nothing counts; spans have what {@link spanLoss} says; regression has negatives [N], minus the targets, counted [N], 1 where there is one, and slope
 * [N], 2 · counted · the loss's scale.
 */
export function taskLoss(
  k: Recorder,
  config: ModelConfig,
  head: TrainedHead,
  x: Tensor,
  { p, g }: TaskModel,
  grad?: { readonly dx: Tensor; readonly scale: () => Scalar },
): void {
  const ofTokens = head.kind === "tokens" || head.kind === "spans";
  const input = ofTokens ? undefined : taskInputOf(config)?.(k, config, p, x);
  const [weight, bias] = taskTensors(config, head).map(({ name, shape }) => k.external(paramBuffer(name), shape));
  const gradients = grad && taskTensors(config, head).map(({ name, shape }) => k.external(gradBuffer(name), shape));
  const dinput = grad && (input ? k.temp("task.dinput", x.shape) : grad.dx);
  const io = { x: input?.out ?? x, weight: weight!, bias };
  const dhead = grad && { dx: dinput!, dweight: gradients![0], dbias: gradients![1], scale: grad.scale };
  if (head.kind === "regression") regressionLoss(k, io, dhead);
  else if (head.kind === "spans") spanLoss(k, head.seqLength!, io, dhead);
  else classLoss(k, head.labels.length, io, dhead);
  if (grad && input) input.backward(k, config, p, g, { dout: dinput!, dx: grad.dx });
}

interface HeadTensors extends Affine<Tensor | undefined> {
  readonly x: Tensor; // [N, C]
  readonly weight: Tensor; // [K, C]
}

interface HeadGradients {
  readonly dx: Tensor;
  readonly dweight: Tensor | undefined;
  readonly dbias: Tensor | undefined;
  readonly scale: () => Scalar;
}

function classLoss(k: Recorder, K: number, io: HeadTensors, grad: HeadGradients | undefined): void {
  const { x, weight, bias } = io;
  const [N, IC] = x.shape as [number, number];
  const losses = k.external("losses", [N]);
  const targets = k.external("targets", [N], "i32");
  if (grad) {
    headLoss(k, weight, { x, targets, losses }, { ...grad, scale: grad.scale() }, bias);
    return;
  }
  const scores = k.external("scores", [N, K]);
  k.op("linearForward", "score", { out: scores, x, weight, bias }, { N, IC, OC: K }, { act: "none" });
  k.op("crossEntropy", "score.loss", { losses, logits: scores, targets }, { N, V: K }, { scale: 0 });
}

/** losses = counted · (x·w - target)², with the derivative slope · (x·w - target) by x·w. */
function regressionLoss(k: Recorder, io: HeadTensors, grad: HeadGradients | undefined): void {
  const { x, weight, bias } = io;
  const [N, IC] = x.shape as [number, number];
  const losses = k.external("losses", [N]);
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

/**
 * Cross-entropy of where spans start and end, each over the T tokens of a sequence: the mean of the two is the loss of a text, as in
 * transformers. The scores [N, 2] of all tokens become rows [2 · B, T], a start and an end for each sequence, by the index
 * `spanOrder` i32 [N · 2]; `excluded` [2 · B, T] is 0 where a place may be chosen, and very negative where not. Targets and losses
 * are [2 · B].
 */
function spanLoss(k: Recorder, T: number, io: HeadTensors, grad: HeadGradients | undefined): void {
  const { x, weight, bias } = io;
  const [N, IC] = x.shape as [number, number];
  const rows = 2 * Math.floor(N / T);
  const temp = (name: string, shape: readonly number[]): Tensor => k.temp(`score.${name}`, shape);
  const scores = grad ? temp("tokens", [N, 2]) : k.external("scores", [N, 2]);
  k.op("linearForward", "score", { out: scores, x, weight, bias }, { N, IC, OC: 2 }, { act: "none" });
  const single = (t: Tensor): Tensor => ({ ...t, shape: [2 * N, 1] });
  const places = temp("places", [2 * N, 1]);
  const index = k.external("spanOrder", [2 * N], "i32");
  k.op("gatherRows", "score.places", { out: places, x: single(scores), index }, { N: 2 * N, W: 1 }, {});
  const byRow = (t: Tensor): Tensor => ({ ...t, shape: [rows, T] });
  const logits = temp("logits", [rows, T]);
  const excluded = k.external("excluded", [rows, T]);
  k.op("add", "score.logits", { out: logits, a: byRow(places), b: excluded }, { N: rows, C: T }, {});
  const targets = k.external("targets", [rows], "i32");
  const losses = k.external("losses", [rows]);
  const tensors = { losses, logits, targets, dlogits: grad && logits };
  k.op("crossEntropy", "score.loss", tensors, { N: rows, V: T }, { scale: grad?.scale() ?? 0 });
  if (!grad) return;
  const dout = temp("dout", [N, 2]);
  k.op("fill", "score.dout", { x: dout }, { size: 2 * N }, { value: 0 });
  const sizes = { N: 2 * N, W: 1, ldsrc: 1, lddst: 1 };
  k.op("scatterRows", "score.dout", { dst: single(dout), src: { ...logits, shape: [2 * N, 1] }, index }, sizes, {});
  const { dx, dweight, dbias } = grad;
  k.op("linearBackwardWeight", "score", { dweight, dbias, dout, x }, { N, IC, OC: 2 }, {});
  k.op("linearBackwardInput", "score", { dx, dout, weight }, { N, IC, OC: 2 }, { act: "none", accumulate: false });
}
