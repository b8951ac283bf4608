import type { Activation } from "../program/activations.js";
import type { Recorder, Tensor } from "../program/program.js";
import { deriveKey } from "../util/random.js";
import { type AdaptedLinear, type Adapter, adaptedBackward, adaptedForward } from "./adapted-linear.js";
import type { ForwardOptions } from "./architecture.js";
import { activationBackward, type Dropout, dropout } from "./layers.js";
import type { Linear } from "./params.js";
import type { TokenInputs } from "./token-inputs.js";

/** Parts shared by architectures: embeddings, projections to the residual stream, MLPs. */

/** Dropout sites: the embedding, then three in each layer. */
export const dropSite = {
  embedding: 0,
  attn: (layer: number) => 3 * layer + 1,
  attnProj: (layer: number) => 3 * layer + 2,
  mlpProj: (layer: number) => 3 * layer + 3,
};

/** The dropout at each site. */
export function dropoutOf({ dropout }: ForwardOptions): (site: number) => Dropout {
  const [p, key0] = [dropout?.p ?? 0, dropout?.key ?? 0];
  return (site) => ({ p, key0, key1: deriveKey(site, 0x64726f70) });
}

export interface Embeddings<T> {
  readonly wte: T; // [V, C]
  readonly wpe: T; // [nCtx, C]
}

/** [N, C]: token embeddings plus position embeddings. */
export function embeddingForward(
  k: Recorder,
  { tokens, positions }: TokenInputs,
  { wte, wpe }: Embeddings<Tensor>,
  drop: Dropout,
): Tensor {
  const [N, C] = [tokens.shape[0]!, wte.shape[1]!];
  const out = k.temp("embedding", [N, C]);
  k.op("embeddingForward", "embedding", { out, tokens, positions, wte, wpe }, { N, C: C as number }, {});
  return drop.p > 0 ? dropout(k, "embedding.drop", out, undefined, drop) : out;
}

export function embeddingBackward(
  k: Recorder,
  { tokens, positions }: TokenInputs,
  dx: Tensor,
  { wte: dwte, wpe: dwpe }: Embeddings<Tensor | undefined>,
  drop: Dropout,
): void {
  if (!dwte && !dwpe) return;
  const dout = dropoutBackward(k, "embedding", dx, drop);
  const [N, C] = dx.shape;
  k.op("embeddingBackward", "embedding", { dwte, dwpe, dout, tokens, positions }, { N: N!, C: C as number }, {});
}

/** A linear layer's output added to the residual stream. */
export interface Projection {
  readonly linear: AdaptedLinear;
  readonly out: Tensor; // [N, C]
}

/** residual + dropout(linear(x)). */
export function projectForward(
  k: Recorder,
  name: string,
  x: Tensor,
  p: Linear<Tensor, Adapter>,
  residual: Tensor,
  drop: Dropout,
): Projection {
  if (drop.p === 0) {
    const linear = adaptedForward(k, name, x, p, { residual });
    return { linear, out: linear.out };
  }
  const linear = adaptedForward(k, name, x, p);
  return { linear, out: dropout(k, `${name}.drop`, linear.out, residual, drop) };
}

/** Returns the gradient at the projection's input, a new tensor. The gradient at the residual stream is dout itself. */
export function projectBackward(
  k: Recorder,
  name: string,
  a: Projection,
  dout: Tensor,
  p: Linear<Tensor, Adapter>,
  g: Linear<Tensor | undefined>,
  drop: Dropout,
  geluOf?: Tensor,
): Tensor {
  return adaptedBackward(k, name, a.linear, dropoutBackward(k, name, dout, drop), p, g, { geluOf });
}

const dropoutBackward = (k: Recorder, name: string, dout: Tensor, drop: Dropout): Tensor =>
  drop.p === 0 ? dout : dropout(k, `${name}.ddrop`, dout, undefined, drop);

export interface MlpParams<T, L> {
  readonly cFc: Linear<T, L>;
  readonly cProj: Linear<T, L>;
}

export interface Mlp {
  readonly preactivation: Tensor; // [N, F]
  readonly fc: AdaptedLinear; // [N, F], after the activation
  readonly proj: Projection; // [N, C], added to the residual stream
}

/** residual + cProj(act(cFc(x))). */
export function mlpForward(
  k: Recorder,
  name: string,
  x: Tensor,
  p: MlpParams<Tensor, Adapter>,
  activation: Activation,
  residual: Tensor,
  drop: Dropout,
): Mlp {
  const F = p.cFc.weight.shape[0]!;
  const preactivation = k.temp(`${name}.c_fc.preact`, [x.shape[0]!, F]);
  const fc = adaptedForward(k, `${name}.c_fc`, x, p.cFc, { geluOf: preactivation, act: activation });
  return { preactivation, fc, proj: projectForward(k, `${name}.c_proj`, fc.out, p.cProj, residual, drop) };
}

/** Returns the gradient at the MLP's input, a new tensor. */
export function mlpBackward(
  k: Recorder,
  name: string,
  a: Mlp,
  dout: Tensor,
  p: MlpParams<Tensor, Adapter>,
  g: MlpParams<Tensor | undefined, { a: Tensor | undefined; b: Tensor | undefined }>,
  activation: Activation,
  drop: Dropout,
): Tensor {
  // The linear operations have the tanh approximation of GELU built in. Other activations are operations of their own.
  const fused = activation === "gelu_new";
  const geluOf = fused ? a.preactivation : undefined;
  const dfc = projectBackward(k, `${name}.c_proj`, a.proj, dout, p.cProj, g.cProj, drop, geluOf);
  if (!fused) activationBackward(k, `${name}.c_fc`, activation, dfc, a.preactivation);
  return adaptedBackward(k, `${name}.c_fc`, a.fc, dfc, p.cFc, g.cFc);
}
