import type { Dim, Recorder, Scalar, Tensor } from "../program/program.js";
import { deriveKey } from "../util/random.js";
import type { GPT2Config } from "./config.js";
import {
  type Attention,
  attentionForward,
  type Dropout,
  dropout,
  type KvCache,
  type Layernorm,
  layernormForward,
  linearForward,
  type Visible,
} from "./layers.js";
import type { Params } from "./params.js";

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
  readonly ln1: Layernorm; // [N, C]
  readonly qkv: Tensor; // [N, 3C]
  readonly attn: Attention; // [N, C]
  readonly attnResidual: Tensor; // [N, C]
  readonly ln2: Layernorm; // [N, C]
  readonly fc: Tensor; // [N, F], before GELU
  readonly gelu: Tensor; // [N, F]
  readonly residual: Tensor; // [N, C]
}

export interface Activations {
  readonly h: readonly BlockActivations[];
  readonly lnF: Layernorm; // [N, C]
  /** The dropout used at each place, for the backward pass. */
  readonly drop: (site: number) => Dropout;
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
  p: Params<Tensor>,
  io: TokenInputs,
  options: ForwardOptions = {},
): Activations {
  const { nEmbd: C, nInner: F, layerNormEpsilon: eps } = config;
  const N = io.tokens.shape[0]!;
  const rate = options.dropout?.p ?? 0;
  const key0 = options.dropout?.key ?? 0;
  const drop = (site: number): Dropout => ({ p: rate, key0, key1: deriveKey(site, 0x64726f70) });

  /** residual + linear(x), with dropout between the two when there is any. */
  const project = (
    name: string,
    x: Tensor,
    w: { weight: Tensor; bias: Tensor },
    residual: Tensor,
    site: number,
  ): Tensor => {
    if (rate === 0) return linearForward(k, name, x, w, { residual });
    return dropout(k, `${name}.drop`, linearForward(k, name, x, w), residual, drop(site));
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

  const h = p.h.map((block, i): BlockActivations => {
    const name = `h.${i}`;
    const ln1 = layernormForward(k, `${name}.ln_1`, x, block.ln1, eps);
    const qkv = linearForward(k, `${name}.attn.c_attn`, ln1.out, block.attn.cAttn);
    const attn = attentionForward(k, `${name}.attn`, config, i, qkv, io, drop(dropSite.attn(i)), options.cache?.[i]);
    const attnResidual = project(`${name}.attn.c_proj`, attn.out, block.attn.cProj, x, dropSite.attnProj(i));
    const ln2 = layernormForward(k, `${name}.ln_2`, attnResidual, block.ln2, eps);
    const fc = k.temp(`${name}.mlp.c_fc.preact`, [N, F]);
    const gelu = linearForward(k, `${name}.mlp.c_fc`, ln2.out, block.mlp.cFc, { geluOf: fc });
    const residual = project(`${name}.mlp.c_proj`, gelu, block.mlp.cProj, attnResidual, dropSite.mlpProj(i));
    x = residual;
    return { ln1, qkv, attn, attnResidual, ln2, fc, gelu, residual };
  });
  return { h, lnF: layernormForward(k, "ln_f", x, p.lnF, eps), drop };
}
