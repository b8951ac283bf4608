import type { Activation } from "../program/activations.js";
import { at, type Dim, maxOf, type Recorder, type Scalar, type Tensor } from "../program/program.js";
import type { Affine } from "./params.js";

/** Layers as recorded operations, which take their sizes from the tensors. Each backward pass follows its forward pass. */

export interface Layernorm {
  readonly out: Tensor; // [N, C]
  readonly mean: Tensor; // [N]
  readonly rstd: Tensor; // [N]
  readonly x: Tensor; // [N, C]
}

const rows = (t: Tensor): Dim => t.shape[0]!;
const width = (t: Tensor): number => maxOf(t.shape[1]!);

export function layernormForward(k: Recorder, name: string, x: Tensor, p: Affine<Tensor>, epsilon: number): Layernorm {
  const [N, C] = [rows(x), width(x)];
  const out = k.temp(name, [N, C]);
  const mean = k.temp(`${name}.mean`, [N]);
  const rstd = k.temp(`${name}.rstd`, [N]);
  k.op("layernormForward", name, { out, mean, rstd, x, weight: p.weight, bias: p.bias }, { N, C }, { epsilon });
  return { out, mean, rstd, x };
}

/** Adds the gradient at the input to dx, or overwrites dx. */
export function layernormBackward(
  k: Recorder,
  name: string,
  a: Layernorm,
  dout: Tensor,
  dx: Tensor,
  p: Affine<Tensor>,
  g: Affine<Tensor | undefined>,
  overwrite = false,
): void {
  const { x, mean, rstd } = a;
  k.op(
    "layernormBackward",
    name,
    { dx, dweight: g.weight, dbias: g.bias, dout, x, weight: p.weight, mean, rstd },
    { N: rows(x), C: width(x) },
    { overwrite },
  );
}

export interface LinearOptions {
  readonly residual?: Tensor | undefined;
  /** Apply GELU, and keep the preactivation in this tensor. */
  readonly geluOf?: Tensor | undefined;
}

/** Returns a new tensor [N, OC] = residual + act(x · weightᵀ + bias). */
export function linearForward(
  k: Recorder,
  name: string,
  x: Tensor,
  p: { readonly weight: Tensor; readonly bias?: Tensor | undefined },
  { residual, geluOf }: LinearOptions = {},
): Tensor {
  const [N, OC, IC] = [rows(x), rows(p.weight) as number, width(p.weight)];
  const out = k.temp(name, [N, OC]);
  k.op(
    "linearForward",
    name,
    { out, preact: geluOf, x, weight: p.weight, bias: p.bias, residual },
    { N, IC, OC },
    { act: geluOf ? "gelu_new" : "none" },
  );
  return out;
}

export interface LinearBackwardOptions {
  /** Preactivation of the input, if the input is a GELU: the gradient is propagated through it. */
  readonly geluOf?: Tensor | undefined;
  /** Add the gradient at the input to this tensor, instead of making a new one. */
  readonly addTo?: Tensor | undefined;
  /** Overwrite this tensor with it. */
  readonly into?: Tensor | undefined;
}

/** Accumulates the gradients of weight and bias, and returns the gradient at the input [N, IC]. */
export function linearBackward(
  k: Recorder,
  name: string,
  x: Tensor,
  dout: Tensor,
  p: { readonly weight: Tensor },
  g: Partial<Affine<Tensor | undefined>>,
  { geluOf, addTo, into }: LinearBackwardOptions = {},
): Tensor {
  const [N, OC, IC] = [rows(x), rows(p.weight) as number, width(p.weight)];
  if (g.weight || g.bias) {
    k.op("linearBackwardWeight", name, { dweight: g.weight, dbias: g.bias, dout, x }, { N, IC, OC }, {});
  }
  const dx = addTo ?? into ?? k.temp(`${name}.dx`, [N, IC]);
  k.op(
    "linearBackwardInput",
    name,
    { dx, dout, weight: p.weight, preact: geluOf },
    { N, IC, OC },
    { act: geluOf ? "gelu_new" : "none", accumulate: addTo !== undefined },
  );
  return dx;
}

/** Backward pass of an activation of x [N, C], in place. */
export function activationBackward(k: Recorder, name: string, act: Activation, dx: Tensor, x: Tensor): void {
  const dims = { N: rows(dx), C: width(dx) };
  k.op("activationBackward", name, { dx, dout: dx, x }, dims, { act });
}

/** Dropout probability, and the keys of its random numbers: one for the run, one for the site. */
export interface Dropout {
  readonly p: number;
  readonly key0: Scalar;
  readonly key1: number;
}
export const NO_DROPOUT: Dropout = { p: 0, key0: 0, key1: 0 };

/** residual + dropout(x), or dropout(x) without a residual. Applied to dout, it is its own backward pass. */
export function dropout(
  k: Recorder,
  name: string,
  x: Tensor,
  residual: Tensor | undefined,
  { p, key0, key1 }: Dropout,
): Tensor {
  const [N, C] = [rows(x), width(x)];
  const out = k.temp(name, [N, C]);
  k.op("dropout", name, { out, x, residual }, { N, C }, { p, key0, key1 });
  return out;
}

/** Key rows visible to each token: first[n] to last[n]. */
export interface Visible {
  readonly first: Tensor; // i32 [N]
  readonly last: Tensor; // i32 [N]
}

/** Cached keys and values of one layer, [rows, 2C] (keys, then values), and the row of each new token. */
export interface KvCache {
  readonly kv: Tensor;
  readonly row: Tensor; // i32 [N]
}

export interface Attention {
  readonly out: Tensor; // [N, C]
  readonly lse: Tensor; // [N, NH]
}

/** Queries, keys and values of N tokens. Keys and values have the same stride. */
export interface QueryKeyValue {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** Strides between tokens, in elements: of queries, and of keys and values. */
  readonly ldq: number;
  readonly ldkv: number;
  /** Whether the values of a token follow its keys in memory. */
  readonly adjacent: boolean;
}

/** The parts of one tensor [N, 3C]. */
export function packedQkv(qkv: Tensor, C: number): QueryKeyValue {
  return { q: qkv, k: at(qkv, C), v: at(qkv, 2 * C), ldq: 3 * C, ldkv: 3 * C, adjacent: true };
}

/** Three tensors [N, C]. */
export function separateQkv(q: Tensor, k: Tensor, v: Tensor, C: number): QueryKeyValue {
  return { q, k, v, ldq: C, ldkv: C, adjacent: false };
}

export interface AttentionOptions {
  readonly nHead: number;
  /** C, the width of all heads together. */
  readonly width: number;
  /** Factor of attention scores. */
  readonly scale: number;
  readonly see: Visible;
  readonly drop: Dropout;
}

/** Attention over the tokens of this run or, with a cache, over the cache after appending them. */
export function attentionForward(
  k: Recorder,
  name: string,
  qkv: QueryKeyValue,
  { nHead: NH, width: C, scale, see, drop }: AttentionOptions,
  cache?: KvCache,
): Attention {
  const N = rows(qkv.q);
  if (cache) addToCache(k, `${name}.cache`, qkv, C, cache);
  const [key, value, ldkv] = cache ? [cache.kv, at(cache.kv, C), 2 * C] : [qkv.k, qkv.v, qkv.ldkv];
  const out = k.temp(name, [N, C]);
  const lse = k.temp(`${name}.lse`, [N, NH]);
  k.op(
    "attentionForward",
    name,
    { out, lse, q: qkv.q, k: key, v: value, ...see },
    { N, NH, HS: C / NH, ldq: qkv.ldq, ldkv },
    { scale, ...drop },
  );
  return { out, lse };
}

/** Writes the new tokens' keys and values to their rows. */
function addToCache(k: Recorder, name: string, qkv: QueryKeyValue, C: number, { kv, row }: KvCache): void {
  const parts = qkv.adjacent
    ? [{ src: qkv.k, dst: kv, W: 2 * C }]
    : [
        { src: qkv.k, dst: kv, W: C },
        { src: qkv.v, dst: at(kv, C), W: C },
      ];
  for (const { src, dst, W } of parts) {
    k.op("scatterRows", name, { dst, src, index: row }, { N: rows(qkv.q), W, ldsrc: qkv.ldkv, lddst: 2 * C }, {});
  }
}

/** Overwrites the gradients at queries, keys and values. */
export function attentionBackward(
  k: Recorder,
  name: string,
  qkv: QueryKeyValue,
  d: QueryKeyValue,
  a: Attention,
  dout: Tensor,
  { nHead: NH, width: C, scale, see, drop }: AttentionOptions,
): void {
  k.op(
    "attentionBackward",
    name,
    { dq: d.q, dk: d.k, dv: d.v, dout, out: a.out, lse: a.lse, q: qkv.q, k: qkv.k, v: qkv.v, ...see },
    { N: rows(qkv.q), NH, HS: C / NH, ldq: qkv.ldq, ldkv: qkv.ldkv },
    { scale, ...drop },
  );
}
