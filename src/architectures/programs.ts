import { type Precision, withPrecision } from "../program/precision.js";
import { type Program, Recorder, type Tensor } from "../program/program.js";
import { prune } from "../program/prune.js";
import type { ModelConfig } from "./config.js";
import {
  declareDecodeAdapters,
  declareGradients,
  declareParams,
  declareTrainedAdapter,
  type ParamTypes,
  type TrainedAdapter,
} from "./declare.js";
import type { DecodeProgramOptions } from "./decode-program.js";
import { headLoss } from "./head.js";
import type { LoraRanks } from "./lora.js";
import { architectureOf } from "./registry.js";
import type { TaskHead } from "./task-head.js";
import { taskLoss } from "./task-loss.js";
import { tokenInputs } from "./token-inputs.js";
import { backwardOf, type Objective, type ObjectiveTensors, objectiveOf } from "./training.js";

export { cacheBuffer, gradBuffer, paramBuffer } from "./declare.js";
export {
  type ComputeOptions,
  type DecodeProgramOptions,
  type DecodeShape,
  decodeProgram,
} from "./decode-program.js";

export interface TrainProgramOptions {
  /** Dropout probability of embeddings, attention weights and block outputs. */
  readonly dropout?: number;
  readonly types?: ParamTypes | undefined;
  /** Names of the tensors to train. Default: all. The others have no gradient. */
  readonly trained?: ReadonlySet<string> | undefined;
  readonly lora?: TrainedAdapter | undefined;
  /** Keep only the residual stream of the forward pass, and recompute each block in the backward pass. */
  readonly recompute?: boolean;
  /** Precision of matrix products. */
  readonly precision?: Precision;
  /** Train a task head instead of next-token prediction: see {@link taskLoss}. */
  readonly head?: TaskHead | undefined;
  /** Tokens in a sequence: a loss of spans is over each. */
  readonly seqLength?: number | undefined;
}

/**
 * Forward pass, loss and backward pass over N tokens. Buffers: tokens, positions, first, last, targets i32 [N]; losses [N];
 * every parameter, and the accumulated gradient of each trained one; with an adapter, its matrices and gradients, and `gain`,
 * a row for each layer. Numbers: `lossScale`, a factor on each token's loss before differentiation; with dropout, `dropoutKey`.
 * An {@link Objective} predicts from rows instead of all tokens: indices `predicted`, targets and losses [R]; and the number
 * `nextScale`, the factor on the loss of each sentence pair.
 */
export function trainProgram(config: ModelConfig, N: number, options: TrainProgramOptions = {}): Program {
  const { dropout = 0, types, trained, lora, recompute = false, precision = "f32", head, seqLength } = options;
  const k = new Recorder("train");
  const key = dropout > 0 || (lora && lora.dropout > 0) ? k.scalar("dropoutKey") : undefined;
  const p = declareParams(k, config, types, lora && declareTrainedAdapter(k, config, lora, key));
  const g = declareGradients(k, config, trained, lora?.ranks);
  const io = tokenInputs(k, config, N);
  const { forward, head: headName } = architectureOf(config);
  const a = forward(k, config, p, io, dropout > 0 ? { dropout: { p: dropout, key: key! } } : {});
  const dx = k.temp("hidden.dout", [N, config.nEmbd]);
  const x = a.hidden;
  const objective = objectiveOf(config);
  if (head) {
    taskLoss(k, config, { ...head, seqLength }, x, { p, g }, { dx, scale: () => k.scalar("lossScale") });
  } else if (objective) {
    const grad = { dx, scale: k.scalar("lossScale"), nextScale: k.scalar("nextScale") };
    objective.record(k, config, p, g, objectiveTensors(k, config, objective, x), grad);
  } else {
    const targets = k.external("targets", [N], "i32");
    const losses = k.external("losses", [N]);
    const grad = { dx, dweight: g.tensor(headName(config)), scale: k.scalar("lossScale") };
    headLoss(k, p.tensor(headName(config)), { x, targets, losses }, grad);
  }
  backwardOf(config)(k, config, p, g, io, a, dx, { recompute });
  return withPrecision(prune(k.build()), precision);
}

export interface LossProgramOptions {
  readonly types?: ParamTypes | undefined;
  /** Ranks of an adapter. */
  readonly ranks?: LoraRanks | undefined;
  readonly head?: TaskHead | undefined;
  readonly seqLength?: number | undefined;
}

/** The loss of each of N tokens, without gradients. Buffers as in {@link trainProgram}. */
export function lossProgram(
  config: ModelConfig,
  N: number,
  { types, ranks, head, seqLength }: LossProgramOptions = {},
): Program {
  const k = new Recorder("loss");
  const p = declareParams(k, config, types, ranks && declareTrainedAdapter(k, config, { ranks, dropout: 0 }));
  const io = tokenInputs(k, config, N);
  const { forward, head: headName } = architectureOf(config);
  const x = forward(k, config, p, io).hidden;
  const frozen = { tensor: () => undefined, adapters: () => [] };
  if (head) {
    taskLoss(k, config, { ...head, seqLength }, x, { p, g: frozen });
    return prune(k.build());
  }
  const objective = objectiveOf(config);
  if (objective) {
    objective.record(k, config, p, frozen, objectiveTensors(k, config, objective, x));
    return prune(k.build());
  }
  const targets = k.external("targets", [N], "i32");
  headLoss(k, p.tensor(headName(config)), { x, targets, losses: k.external("losses", [N]) });
  return prune(k.build());
}

function objectiveTensors(k: Recorder, config: ModelConfig, objective: Objective, x: Tensor): ObjectiveTensors {
  const { predicted, next } = objective.rows(config, x.shape[0] as number);
  const R = predicted + next;
  const index = k.external("predicted", [R], "i32");
  return { x, index, targets: k.external("targets", [R], "i32"), losses: k.external("losses", [R]) };
}

export interface HiddenProgramOptions extends DecodeProgramOptions {
  /** An output of the architecture in place of the hidden states: see {@link Output}. */
  readonly output?: string | undefined;
  /** Most rows of a run. Default: as many as tokens. */
  readonly maxRows?: number;
}

/**
 * Final hidden states [M, C] of the tokens outputs[m] among N, or an output [M, width], for consecutive whole texts without a
 * cache. `first` and `last` say which tokens each token sees. Sizes: N, M. Adapters as in {@link decodeProgram}.
 */
export function hiddenProgram(
  config: ModelConfig,
  maxTokens: number,
  { types, adapters = [], output, maxRows = maxTokens, compute = "f32" }: HiddenProgramOptions = {},
): Program {
  const k = new Recorder("hidden");
  const [N, M] = [k.sym("N", maxTokens), k.sym("M", maxRows)];
  const { nEmbd: C } = config;
  const { forward, outputs } = architectureOf(config);
  const p = declareParams(k, config, types, declareDecodeAdapters(k, config, adapters, N));
  const { hidden: x } = forward(k, config, p, tokenInputs(k, config, N));
  const index = k.external("outputs", [M], "i32");
  const rows = output === undefined ? k.external("hidden", [M, C]) : k.temp("rows", [M, C]);
  k.op("gatherRows", "rows", { out: rows, x, index }, { N: M, W: C }, {});
  if (output !== undefined) {
    const { width, forward: apply } = outputs![output]!;
    apply(k, config, p, rows, k.external("hidden", [M, width(config)]));
  }
  return withPrecision(prune(k.build()), compute);
}

/** Sets the flat gradients to zero. */
export function zeroGradProgram(size: number): Program {
  const k = new Recorder("zero-grad");
  k.op("fill", "grads", { x: k.external("grads", [size]) }, { size }, { value: 0 });
  return k.build();
}
