import type { Recorder, Tensor } from "../../program/program.js";
import { type AdaptedLinear, type Adapter, adaptedForward } from "../adapted-linear.js";
import type { Activations, ForwardOptions } from "../architecture.js";
import {
  dropoutOf,
  dropSite,
  embeddingForward,
  type Mlp,
  mlpForward,
  type Projection,
  projectForward,
} from "../blocks.js";
import {
  type Attention,
  attentionForward,
  type Dropout,
  type Layernorm,
  layernormForward,
  separateQkv,
} from "../layers.js";
import type { Leaves } from "../params.js";
import type { TokenInputs } from "../token-inputs.js";
import type { GPTNeoConfig } from "./config.js";
import { type BlockParams, paramTree } from "./params.js";

/** Attention scores are the products of queries and keys themselves, not divided by the root of the head size. */
export const SCALE = 1;

/** What one block computed; N tokens, C channels. */
export interface BlockActivations {
  readonly ln1: Layernorm; // [N, C]; its x is the residual stream that came in
  readonly q: AdaptedLinear; // [N, C]
  readonly k: AdaptedLinear; // [N, C]
  readonly v: AdaptedLinear; // [N, C]
  readonly attn: Attention; // [N, C]
  readonly outProj: Projection; // [N, C]
  readonly ln2: Layernorm; // [N, C]
  readonly mlp: Mlp; // [N, C]
}

export interface GPTNeoActivations extends Activations {
  readonly h: readonly BlockActivations[];
  readonly lnF: Layernorm; // [N, C]
  /** The dropout used at each place, for the backward pass. */
  readonly drop: (site: number) => Dropout;
  /** Records block i once more, from the residual stream that came into it. */
  readonly recompute: (layer: number) => BlockActivations;
}

/** GPT-Neo from tokens to the final layer norm: GPT-2 but for its attention, which is local in every other layer. */
export function forward(
  rec: Recorder,
  config: GPTNeoConfig,
  leaves: Leaves<Tensor, Adapter>,
  io: TokenInputs,
  options: ForwardOptions = {},
): GPTNeoActivations {
  const { nEmbd: C, nHead, activation, layerNormEpsilon: eps } = config;
  const p = paramTree(config, leaves);
  const drop = dropoutOf(options);

  const block = (name: string, i: number, p: BlockParams<Tensor, Adapter>, x: Tensor): BlockActivations => {
    const ln1 = layernormForward(rec, `${name}.ln_1`, x, p.ln1, eps);
    const q = adaptedForward(rec, `${name}.attn.q_proj`, ln1.out, p.attn.qProj);
    const k = adaptedForward(rec, `${name}.attn.k_proj`, ln1.out, p.attn.kProj);
    const v = adaptedForward(rec, `${name}.attn.v_proj`, ln1.out, p.attn.vProj);
    const qkv = separateQkv(q.out, k.out, v.out, C);
    const attention = { nHead, width: C, scale: SCALE, see: io.visible(i), drop: drop(dropSite.attn(i)) };
    const attn = attentionForward(rec, `${name}.attn`, qkv, attention, options.cache?.[i]);
    const projDrop = drop(dropSite.attnProj(i));
    const outProj = projectForward(rec, `${name}.attn.out_proj`, attn.out, p.attn.outProj, x, projDrop);
    const ln2 = layernormForward(rec, `${name}.ln_2`, outProj.out, p.ln2, eps);
    const mlp = mlpForward(rec, `${name}.mlp`, ln2.out, p.mlp, activation, outProj.out, drop(dropSite.mlpProj(i)));
    return { ln1, q, k, v, attn, outProj, ln2, mlp };
  };

  let x = embeddingForward(rec, io, p, drop(dropSite.embedding));
  const h = p.h.map((params, i) => {
    const act = block(`h.${i}`, i, params, x);
    x = act.mlp.proj.out;
    return act;
  });
  const lnF = layernormForward(rec, "ln_f", x, p.lnF, eps);
  const recompute = (i: number) => block(`h.${i}.recompute`, i, p.h[i]!, h[i]!.ln1.x);
  return { hidden: lnF.out, h, lnF, drop, recompute };
}
