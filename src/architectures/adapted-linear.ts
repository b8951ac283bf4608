import type { Activation } from "../program/activations.js";
import type { Recorder, Tensor } from "../program/program.js";
import {
  type Dropout,
  dropout,
  type LinearBackwardOptions,
  type LinearOptions,
  linearBackward,
  linearForward,
} from "./layers.js";
import type { Linear, LowRank } from "./params.js";

/**
 * Linear layers with low-rank additions: y = x Wᵀ + b + Σ gain ⊙ (dropout(x) Aᵀ) Bᵀ, one term for each adapter. Without
 * adapters these are plain linear layers.
 */

/** An adapter of one layer. */
export interface Adapter extends LowRank<Tensor> {
  /** [rows, r], factors of the hidden values. */
  readonly gain: Tensor;
  /** i32 [N], each token's row of `gain`. Default: the first row for all. */
  readonly index?: Tensor;
  /** Dropout of the adapter's input. */
  readonly drop?: Dropout | undefined;
}

interface AdapterActivations {
  readonly x: Tensor; // [N, in], after dropout
  readonly hidden: Tensor; // [N, r], after gain
}

export interface AdaptedLinear {
  readonly x: Tensor; // [N, in]
  readonly out: Tensor; // [N, out]
  readonly adapters: readonly AdapterActivations[];
}

export interface AdaptedOptions extends LinearOptions {
  /** The activation. */
  readonly act?: Activation;
}

/** The layer's output, with a residual and GELU as in `linearForward`; `out` has the layer's own name. */
export function adaptedForward(
  k: Recorder,
  name: string,
  x: Tensor,
  p: Linear<Tensor, Adapter>,
  { residual, geluOf, act = "gelu_new" }: AdaptedOptions = {},
): AdaptedLinear {
  // Each addition is the residual of the next, and the last one is the residual of the layer itself.
  let sum = residual;
  const adapters = (p.lowRank ?? []).map((adapter, i): AdapterActivations => {
    const [part, hidden] = lowRankHidden(k, `${name}.lora${i}`, x, adapter);
    sum = linearForward(k, `${name}.lora${i}.B`, hidden, { weight: adapter.b }, { residual: sum });
    return { x: part, hidden };
  });
  if (geluOf === undefined || (adapters.length === 0 && act === "gelu_new")) {
    return { x, out: linearForward(k, name, x, p, { residual: sum, geluOf }), adapters };
  }
  // The activation applies to the whole sum, but the linear operation adds the residual after it, and has only GELU.
  const [N, OC] = geluOf.shape;
  const dims = { N: N!, IC: p.weight.shape[1]!, OC: OC! };
  k.op("linearForward", name, { out: geluOf, x, weight: p.weight, bias: p.bias, residual: sum }, dims, { act: "none" });
  const out = k.temp(name, [N!, OC!]);
  k.op("activation", name, { out, x: geluOf }, { N: N!, C: OC! }, { act });
  return { x, out, adapters };
}

/** dropout(x), and gain ⊙ (dropout(x) Aᵀ). */
function lowRankHidden(k: Recorder, name: string, x: Tensor, { a, gain, index, drop }: Adapter): [Tensor, Tensor] {
  const part = drop && drop.p > 0 ? dropout(k, `${name}.drop`, x, undefined, drop) : x;
  const hidden = linearForward(k, `${name}.A`, part, { weight: a });
  return [part, scaled(k, name, hidden, gain, index)];
}

function scaled(k: Recorder, name: string, x: Tensor, gain: Tensor, index: Tensor | undefined): Tensor {
  const [N, r] = x.shape;
  const out = k.temp(`${name}.scaled`, x.shape);
  k.op("scaleColumns", name, { out, x, gain, index }, { N: N!, C: r! }, {});
  return out;
}

/**
 * Accumulates the gradients of trained parameters, and returns the gradient at the input [N, in]: a new tensor, or `addTo`
 * with it added.
 */
export function adaptedBackward(
  k: Recorder,
  name: string,
  act: AdaptedLinear,
  dout: Tensor,
  p: Linear<Tensor, Adapter>,
  g: Linear<Tensor | undefined>,
  { geluOf, addTo }: LinearBackwardOptions = {},
): Tensor {
  const dx = linearBackward(k, name, act.x, dout, p, g, { geluOf, addTo });
  p.lowRank?.forEach(({ a, b, gain, index, drop }, i) => {
    const { x, hidden } = act.adapters[i]!;
    const grad = g.lowRank?.[i];
    const label = `${name}.lora${i}`;
    const dscaled = linearBackward(k, `${label}.B`, hidden, dout, { weight: b }, { weight: grad?.b });
    const dhidden = scaled(k, `${label}.d`, dscaled, gain, index);
    const dropped = drop !== undefined && drop.p > 0;
    const options = { geluOf, addTo: dropped ? undefined : dx };
    const dpart = linearBackward(k, `${label}.A`, x, dhidden, { weight: a }, { weight: grad?.a }, options);
    if (!dropped) return;
    const [N, C] = dx.shape;
    k.op("dropout", `${label}.dx`, { out: dx, x: dpart, residual: dx }, { N: N!, C: C! }, { ...drop });
  });
  return dx;
}
