import { type Recorder, rowsOf, type Tensor } from "../../program/program.js";
import { headLoss } from "../head.js";
import { activationBackward, layernormBackward, linearBackward } from "../layers.js";
import type { Leaves } from "../params.js";
import type { Objective, TaskInput } from "../training.js";
import type { BertConfig } from "./config.js";
import { pooledForward, transformForward } from "./outputs.js";
import { headParams } from "./params.js";

/**
 * BERT's pre-training (Devlin et al. 2019, section 3.1): the tokens that were masked, and whether the second text follows the
 * first. Heads are computed for the hidden states that they predict from alone, which are gathered first.
 */

/** One token in this many at most is predicted in a pass: 15% of each text, rounded, is less. */
const PREDICTED = 5;
/** A text has at least this many tokens. */
const TEXT = 16;

type Gradients = Leaves<Tensor | undefined, unknown>;
type Params = Parameters<typeof transformForward>[2];

export const bertObjective: Objective<BertConfig> = {
  rows: ({ nextSentence }, N) => ({
    predicted: Math.ceil(N / PREDICTED),
    next: nextSentence ? Math.ceil(N / TEXT) : 0,
  }),

  record: (k, config, p, g, { x, index, targets, losses }, grad) => {
    const { predicted: M, next: S } = bertObjective.rows(config, x.shape[0] as number);
    const C = config.nEmbd;
    const rows = k.temp("predicted.rows", [M + S, C]);
    k.op("gatherRows", "predicted", { out: rows, x, index }, { N: M + S, W: C }, {});
    const drows = grad && k.temp("predicted.dout", [M + S, C]);
    const part = (t: Tensor, start: number, count: number): Tensor => rowsOf(t, start, count);
    const io = { x: part(rows, 0, M), targets: part(targets, 0, M), losses: part(losses, 0, M) };
    const scale = grad?.scale ?? 0;
    maskedLoss(k, config, p, g, io, drows && { dx: part(drows, 0, M), scale });
    if (S > 0) {
      const io = { x: part(rows, M, S), targets: part(targets, M, S), losses: part(losses, M, S) };
      nextSentenceLoss(k, config, p, g, io, drows && { dx: part(drows, M, S), scale: grad!.nextScale });
    }
    if (!grad || !drows) return;
    k.op("fill", "hidden.dout", { x: grad.dx }, { size: (x.shape[0] as number) * C }, { value: 0 });
    const sizes = { N: M + S, W: C, ldsrc: C, lddst: C };
    k.op("scatterRows", "hidden.dout", { dst: grad.dx, src: drows, index }, sizes, {});
  },
};

type LossTensors = Parameters<typeof headLoss>[2];
type LossGradient = Pick<NonNullable<Parameters<typeof headLoss>[3]>, "dx" | "scale"> | undefined;

function maskedLoss(
  k: Recorder,
  config: BertConfig,
  p: Params,
  g: Gradients,
  { x, targets, losses }: LossTensors,
  grad: LossGradient,
): void {
  const { preactivation, norm } = transformForward(k, config, p, x);
  const { decoder, transform, transformNorm } = headParams(config, p);
  const d = headParams(config, g);
  const io = { x: norm.out, targets, losses };
  if (!grad) {
    headLoss(k, decoder.weight, io, undefined, decoder.bias);
    return;
  }
  const like = (name: string): Tensor => k.temp(`predictions.${name}`, x.shape);
  const dnorm = like("dnorm");
  const head = { dx: dnorm, dweight: d.decoder.weight, dbias: d.decoder.bias, scale: grad.scale };
  headLoss(k, decoder.weight, io, head, decoder.bias);
  const dpreactivation = like("dpreact");
  layernormBackward(k, "predictions.norm", norm, dnorm, dpreactivation, transformNorm, d.transformNorm, true);
  activationBackward(k, "predictions.gelu", config.activation, dpreactivation, preactivation);
  linearBackward(k, "predictions.preact", x, dpreactivation, transform, d.transform, { into: grad.dx });
}

function nextSentenceLoss(
  k: Recorder,
  config: BertConfig,
  p: Params,
  g: Gradients,
  { x, targets, losses }: LossTensors,
  grad: LossGradient,
): void {
  const pooled = k.temp("pooler", x.shape);
  const preactivation = pooledForward(k, config, p, x, pooled);
  const { nextSentence } = headParams(config, p);
  const d = headParams(config, g);
  const io = { x: pooled, targets, losses };
  if (!grad) {
    headLoss(k, nextSentence.weight, io, undefined, nextSentence.bias, "next");
    return;
  }
  const dpooled = k.temp("pooler.dout", x.shape);
  const head = { dx: dpooled, dweight: d.nextSentence.weight, dbias: d.nextSentence.bias, scale: grad.scale };
  headLoss(k, nextSentence.weight, io, head, nextSentence.bias, "next");
  pooledBackward(k, config, p, g, { x, preactivation, dpooled, dx: grad.dx });
}

/** The pooled state, which heads for whole texts read. */
export function bertTaskInput(k: Recorder, config: BertConfig, p: Params, x: Tensor): TaskInput<BertConfig> {
  const out = k.temp("pooler", x.shape);
  const preactivation = pooledForward(k, config, p, x, out);
  return {
    out,
    backward: (k, config, p, g, { dout, dx }) =>
      pooledBackward(k, config, p, g, { x, preactivation, dpooled: dout, dx }),
  };
}

interface PooledGradient {
  readonly x: Tensor;
  readonly preactivation: Tensor;
  /** Overwritten. */
  readonly dpooled: Tensor;
  /** Set. */
  readonly dx: Tensor;
}

/** The mirror of `pooledForward`. */
export function pooledBackward(
  k: Recorder,
  config: BertConfig,
  p: Params,
  g: Gradients,
  { x, preactivation, dpooled, dx }: PooledGradient,
): void {
  activationBackward(k, "pooler", config.poolerActivation, dpooled, preactivation);
  linearBackward(k, "pooler.preact", x, dpooled, headParams(config, p).pooler, headParams(config, g).pooler, {
    into: dx,
  });
}
