import type { Dim, Recorder, Scalar, Tensor } from "../../program/program.js";
import { deriveKey } from "../../util/random.js";
import { type AdaptedLinear, type Adapter, adaptedForward } from "../adapted-linear.js";
import {
  type Attention,
  attentionForward,
  type Dropout,
  dropout,
  type KvCache,
  type Layernorm,
  layernormForward,
  type Visible,
} from "../layers.js";
import type { GPT2Config } from "./config.js";
import type { BlockParams, Linear, Params } from "./params.js";

/** The tokens of a run: each with its position and the key rows it sees. All i32 [N]. */
export interface TokenInputs extends Visible {
  readonly tokens: Tensor;
  readonly positions: Tensor;
}

/** Declares the inputs of a run of N tokens. */
export function tokenInputs(k: Recorder, N: Dim): TokenInputs {
  const input = (name: string) => k.external(name, [N], "i32");
  return { tokens: input("tokens"), positions: input("positions"), first: input("first"), last: input("last") };
}

export interface ForwardOptions {
  /** Keys and values by layer, when decoding. */
  readonly cache?: readonly KvCache[] | undefined;
  /** Probability of dropping (embeddings, attention weights, each block's output), and the run's key. */
  readonly dropout?: { readonly p: number; readonly key: Scalar } | undefined;
}

/** What one block computed; N tokens, C channels, F = nInner. */
export interface BlockActivations {
  readonly ln1: Layernorm; // [N, C]; its x is the residual stream that came in
  readonly qkv: AdaptedLinear; // [N, 3C]
  readonly attn: Attention; // [N, C]
  readonly attnProj: AdaptedLinear; // [N, C], added to the residual stream
  readonly ln2: Layernorm; // [N, C]
  readonly fc: Tensor; // [N, F], before GELU
  readonly gelu: AdaptedLinear; // [N, F]
  readonly mlpProj: AdaptedLinear; // [N, C], added to the residual stream
  readonly residual: Tensor; // [N, C]
}

export interface Activations {
  readonly h: readonly BlockActivations[];
  readonly lnF: Layernorm; // [N, C]
  /** The dropout used at each place, for the backward pass. */
  readonly drop: (site: number) => Dropout;
  /** Records block i once more, from the residual stream that came into it. */
  readonly again: (layer: number) => BlockActivations;
}

/** Places where activations are dropped: the embedding, then three in each layer. */
export const dropSite = {
  embedding: 0,
  attn: (layer: number) => 3 * layer + 1,
  attnProj: (layer: number) => 3 * layer + 2,
  mlpProj: (layer: number) => 3 * layer + 3,
};

/** GPT-2 from tokens to the final layer norm (paper, section 2.3: pre-normalisation, a last norm after the stack). */
export function forward(
  k: Recorder,
  config: GPT2Config,
  p: Params<Tensor, Adapter>,
  io: TokenInputs,
  options: ForwardOptions = {},
): Activations {
  const { nEmbd: C, nInner: F, layerNormEpsilon: eps } = config;
  const N = io.tokens.shape[0]!;
  const rate = options.dropout?.p ?? 0;
  const key0 = options.dropout?.key ?? 0;
  const drop = (site: number): Dropout => ({ p: rate, key0, key1: deriveKey(site, 0x64726f70) });

  /** linear(x), and residual + that, with dropout between the two when there is any. */
  const project = (
    name: string,
    x: Tensor,
    w: Linear<Tensor, Adapter>,
    residual: Tensor,
    site: number,
  ): [AdaptedLinear, Tensor] => {
    const y = adaptedForward(k, name, x, w, rate === 0 ? { residual } : {});
    return [y, rate === 0 ? y.out : dropout(k, `${name}.drop`, y.out, residual, drop(site))];
  };

  const block = (name: string, i: number, p: BlockParams<Tensor, Adapter>, x: Tensor): BlockActivations => {
    const ln1 = layernormForward(k, `${name}.ln_1`, x, p.ln1, eps);
    const qkv = adaptedForward(k, `${name}.attn.c_attn`, ln1.out, p.attn.cAttn);
    const attn = attentionForward(
      k,
      `${name}.attn`,
      config,
      i,
      qkv.out,
      io,
      drop(dropSite.attn(i)),
      options.cache?.[i],
    );
    const [attnProj, x2] = project(`${name}.attn.c_proj`, attn.out, p.attn.cProj, x, dropSite.attnProj(i));
    const ln2 = layernormForward(k, `${name}.ln_2`, x2, p.ln2, eps);
    const fc = k.temp(`${name}.mlp.c_fc.preact`, [N, F]);
    const gelu = adaptedForward(k, `${name}.mlp.c_fc`, ln2.out, p.mlp.cFc, { geluOf: fc, act: config.activation });
    const [mlpProj, residual] = project(`${name}.mlp.c_proj`, gelu.out, p.mlp.cProj, x2, dropSite.mlpProj(i));
    return { ln1, qkv, attn, attnProj, ln2, fc, gelu, mlpProj, residual };
  };

  let x = k.temp("embedding", [N, C]);
  k.op(
    "embeddingForward",
    "embedding",
    { out: x, tokens: io.tokens, positions: io.positions, wte: p.wte, wpe: p.wpe },
    { N, C },
    {},
  );
  if (rate > 0) x = dropout(k, "embedding.drop", x, undefined, drop(dropSite.embedding));

  const h = p.h.map((params, i) => {
    const act = block(`h.${i}`, i, params, x);
    x = act.residual;
    return act;
  });
  const again = (i: number) => block(`h.${i}.again`, i, p.h[i]!, h[i]!.ln1.x);
  return { h, lnF: layernormForward(k, "ln_f", x, p.lnF, eps), drop, again };
}
