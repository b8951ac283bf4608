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
  packedQkv,
} from "../layers.js";
import type { Leaves } from "../params.js";
import type { TokenInputs } from "../token-inputs.js";
import { attentionScale, type GPT2Config } from "./config.js";
import { type BlockParams, paramTree } from "./params.js";

/** What one block computed; N tokens, C channels. */
export interface BlockActivations {
  readonly ln1: Layernorm; // [N, C]; its x is the residual stream that came in
  readonly qkv: AdaptedLinear; // [N, 3C]
  readonly attn: Attention; // [N, C]
  readonly attnProj: Projection; // [N, C]
  readonly ln2: Layernorm; // [N, C]
  readonly mlp: Mlp; // [N, C]
}

export interface GPT2Activations extends Activations {
  readonly h: readonly BlockActivations[];
  readonly lnF: Layernorm; // [N, C]
  /** The dropout used at each place, for the backward pass. */
  readonly drop: (site: number) => Dropout;
  /** Records block i once more, from the residual stream that came into it. */
  readonly recompute: (layer: number) => BlockActivations;
}

/** GPT-2 from tokens to the final layer norm (paper, section 2.3: pre-normalisation, a last norm after the stack). */
export function forward(
  k: Recorder,
  config: GPT2Config,
  leaves: Leaves<Tensor, Adapter>,
  io: TokenInputs,
  options: ForwardOptions = {},
): GPT2Activations {
  const { nEmbd: C, nHead, activation, layerNormEpsilon: eps } = config;
  const p = paramTree(config, leaves);
  const drop = dropoutOf(options);

  const block = (name: string, i: number, p: BlockParams<Tensor, Adapter>, x: Tensor): BlockActivations => {
    const ln1 = layernormForward(k, `${name}.ln_1`, x, p.ln1, eps);
    const qkv = adaptedForward(k, `${name}.attn.c_attn`, ln1.out, p.attn.cAttn);
    const see = io.visible(i);
    const attention = { nHead, width: C, scale: attentionScale(config, i), see, drop: drop(dropSite.attn(i)) };
    const attn = attentionForward(k, `${name}.attn`, packedQkv(qkv.out, C), attention, options.cache?.[i]);
    const attnProj = projectForward(k, `${name}.attn.c_proj`, attn.out, p.attn.cProj, x, drop(dropSite.attnProj(i)));
    const ln2 = layernormForward(k, `${name}.ln_2`, attnProj.out, p.ln2, eps);
    const mlp = mlpForward(k, `${name}.mlp`, ln2.out, p.mlp, activation, attnProj.out, drop(dropSite.mlpProj(i)));
    return { ln1, qkv, attn, attnProj, ln2, mlp };
  };

  let x = embeddingForward(k, io, p, drop(dropSite.embedding));
  const h = p.h.map((params, i) => {
    const act = block(`h.${i}`, i, params, x);
    x = act.mlp.proj.out;
    return act;
  });
  const lnF = layernormForward(k, "ln_f", x, p.lnF, eps);
  const recompute = (i: number) => block(`h.${i}.recompute`, i, p.h[i]!, h[i]!.ln1.x);
  return { hidden: lnF.out, h, lnF, drop, recompute };
}
