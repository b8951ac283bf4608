import type { Recorder, Tensor } from "../program/program.js";
import { type AdaptedLinear, type Adapter, adaptedBackward, adaptedForward } from "./adapted-linear.js";
import {
  type Attention,
  type AttentionOptions,
  attentionBackward,
  attentionForward,
  type KvCache,
  packedQkv,
  type QueryKeyValue,
  separateQkv,
} from "./layers.js";
import type { Linear, LowRank } from "./params.js";

/**
 * Self-attention before its output projection. Queries, keys and values come from one linear layer [3C, C], or from three
 * [C, C]: `names` and `p` have one entry or three, in this order.
 */
export interface SelfAttention {
  readonly qkv: readonly AdaptedLinear[];
  readonly attn: Attention; // [N, C]
}

/** @param name the block's attention: `h.0.attn` */
export function selfAttentionForward(
  k: Recorder,
  name: string,
  names: readonly string[],
  x: Tensor,
  p: readonly Linear<Tensor, Adapter>[],
  options: AttentionOptions,
  cache?: KvCache,
): SelfAttention {
  const qkv = p.map((linear, i) => adaptedForward(k, `${name}.${names[i]}`, x, linear));
  return { qkv, attn: attentionForward(k, name, queryKeyValue(outputs(qkv), options.width), options, cache) };
}

/** Returns the gradient at x [N, C]: a new tensor, or `addTo` with it added. */
export function selfAttentionBackward(
  k: Recorder,
  name: string,
  names: readonly string[],
  a: SelfAttention,
  dout: Tensor,
  p: readonly Linear<Tensor, Adapter>[],
  g: readonly Linear<Tensor | undefined, LowRank<Tensor | undefined>>[],
  options: AttentionOptions,
  addTo?: Tensor,
): Tensor {
  const gradientNames = p.length === 1 ? ["dqkv"] : ["dq", "dk", "dv"];
  const d = a.qkv.map(({ out }, i) => k.temp(`${name}.${gradientNames[i]}`, out.shape));
  const C = options.width;
  attentionBackward(k, name, queryKeyValue(outputs(a.qkv), C), queryKeyValue(d, C), a.attn, dout, options);
  // Three layers read the same x: their gradients add up.
  let dx = addTo;
  for (const [i, linear] of p.entries()) {
    dx = adaptedBackward(k, `${name}.${names[i]}`, a.qkv[i]!, d[i]!, linear, g[i]!, { addTo: dx });
  }
  return dx!;
}

const outputs = (qkv: readonly AdaptedLinear[]): Tensor[] => qkv.map(({ out }) => out);

function queryKeyValue([q, k, v]: readonly Tensor[], C: number): QueryKeyValue {
  return k && v ? separateQkv(q!, k, v, C) : packedQkv(q!, C);
}
