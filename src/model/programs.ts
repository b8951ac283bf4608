import type { DType } from "../dtype/dtype.js";
import { type Program, Recorder, type Tensor } from "../program/program.js";
import { backward } from "./backward.js";
import type { GPT2Config } from "./config.js";
import { type FlatLayout, flatLayout } from "./flat.js";
import { forward, tokenInputs } from "./forward.js";
import { headLoss } from "./head.js";
import { headWeight, type Params, paramTree } from "./params.js";
import { tensorTable } from "./tensors.js";

/** The external buffers of a parameter and of its gradient. */
export const paramBuffer = (name: string): string => `param.${name}`;
export const gradBuffer = (name: string): string => `grad.${name}`;
export const cacheBuffer = (layer: number): string => `cache.${layer}`;

/** What parameters are held in, by the table's names; f32 where there is none. Training knows f32 alone. */
export type ParamTypes = ReadonlyMap<string, DType>;

const ALL_F32: ParamTypes = new Map();

function declareParams(
  k: Recorder,
  config: GPT2Config,
  types: ParamTypes = ALL_F32,
  buffer = paramBuffer,
): Params<Tensor> {
  const shapes = new Map(tensorTable(config).map((t) => [t.name, t.shape]));
  return paramTree(config, (name) => k.external(buffer(name), shapes.get(name)!, types.get(name)));
}

/**
 * Forward, loss and backward over N = batch · length tokens. Buffers: tokens, positions, first, last, targets i32 [N];
 * losses [N]; every parameter and gradient (accumulated). Numbers: `lossScale`, what each token's loss is multiplied by
 * before differentiating; with dropout, `dropoutKey`.
 */
export function trainProgram(config: GPT2Config, N: number, dropout = 0): Program {
  const k = new Recorder("train");
  const p = declareParams(k, config);
  const g = declareParams(k, config, ALL_F32, gradBuffer);
  const io = tokenInputs(k, N);
  const a = forward(k, config, p, io, dropout > 0 ? { dropout: { p: dropout, key: k.scalar("dropoutKey") } } : {});
  const targets = k.external("targets", [N], "i32");
  const losses = k.external("losses", [N]);
  const dlnF = k.temp("ln_f.dout", [N, config.nEmbd]);
  const scale = k.scalar("lossScale");
  headLoss(k, config, headWeight(p), { x: a.lnF.out, targets, losses }, { dx: dlnF, dweight: headWeight(g), scale });
  backward(k, config, p, g, io, a, dlnF);
  return k.build();
}

/** The loss of each of N tokens, without gradients. Buffers as in {@link trainProgram}. */
export function lossProgram(config: GPT2Config, N: number, types?: ParamTypes): Program {
  const k = new Recorder("loss");
  const p = declareParams(k, config, types);
  const a = forward(k, config, p, tokenInputs(k, N));
  const targets = k.external("targets", [N], "i32");
  headLoss(k, config, headWeight(p), { x: a.lnF.out, targets, losses: k.external("losses", [N]) });
  return k.build();
}

export interface DecodeShape {
  /** Tokens a run can take. */
  readonly maxTokens: number;
  /** Rows of logits a run can give. */
  readonly maxLogits: number;
  /** Key rows of the cache, for all sequences together. */
  readonly cacheRows: number;
}

/**
 * N new tokens, each added to the cache at row[n] and attending to rows first[n] to last[n] of it; logits [M, V] for the
 * tokens outputs[m]. Sizes: N, M.
 */
export function decodeProgram(
  config: GPT2Config,
  { maxTokens, maxLogits, cacheRows }: DecodeShape,
  types?: ParamTypes,
): Program {
  const k = new Recorder("decode");
  const [N, M] = [k.sym("N", maxTokens), k.sym("M", maxLogits)];
  const { nEmbd: C, vocabSize: V } = config;
  const p = declareParams(k, config, types);
  const io = tokenInputs(k, N);
  const row = k.external("row", [N], "i32");
  const cache = p.h.map((_, i) => ({ kv: k.external(cacheBuffer(i), [cacheRows, 2 * C]), row }));
  const a = forward(k, config, p, io, { cache });
  const index = k.external("outputs", [M], "i32");
  const hidden = k.temp("head.in", [M, C]);
  k.op("gatherRows", "head.in", { out: hidden, x: a.lnF.out, index }, { N: M, W: C }, {});
  const logits = k.external("logits", [M, V]);
  k.op("linearForward", "head", { out: logits, x: hidden, weight: headWeight(p) }, { N: M, IC: C, OC: V }, { act: 0 });
  return k.build();
}

export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Applied to matrices only. */
  readonly weightDecay: number;
  /** Clip gradients to this global norm; 0 for no clipping. */
  readonly maxNorm: number;
}

/**
 * One optimizer step over flat buffers params, grads, m, v [P] laid out by `flatLayout`; norm [1] gets the gradients'
 * global norm before clipping. Numbers: lr, correction1, correction2 (1 - beta^t).
 */
export function optimizerProgram(
  config: GPT2Config,
  settings: AdamWSettings,
  layout: FlatLayout = flatLayout(config),
): Program {
  const k = new Recorder("optimizer");
  const [lr, correction1, correction2] = [k.scalar("lr"), k.scalar("correction1"), k.scalar("correction2")];
  const flat = (name: string) => k.external(name, [layout.size]);
  const [params, grads, m, v] = [flat("params"), flat("grads"), flat("m"), flat("v")];
  const norm = k.external("norm", [1]);
  k.op("norm", "norm", { norm, x: grads }, { size: layout.size }, {});
  const { beta1, beta2, epsilon, maxNorm, weightDecay } = settings;
  for (const { start, end, decay } of layout.groups) {
    const part = (t: Tensor): Tensor => ({ ...t, offset: start, shape: [end - start] });
    k.op(
      "adamw",
      `adamw.${start}`,
      { param: part(params), grad: part(grads), m: part(m), v: part(v), norm },
      { size: end - start },
      { lr, beta1, beta2, epsilon, weightDecay: decay ? weightDecay : 0, correction1, correction2, maxNorm },
    );
  }
  return k.build();
}

/** Sets the flat gradients to zero. */
export function zeroGradProgram(size: number): Program {
  const k = new Recorder("zero-grad");
  k.op("fill", "grads", { x: k.external("grads", [size]) }, { size }, { value: 0 });
  return k.build();
}
