import type { Tensor } from "../../program/program.js";
import type { Adapter } from "../adapted-linear.js";
import type { Architecture } from "../architecture.js";
import { dropoutOf, dropSite, embeddingForward, mlpForward, projectForward } from "../blocks.js";
import type { ModelConfig } from "../config.js";
import { layernormForward } from "../layers.js";
import { selfAttentionForward } from "../self-attention.js";
import type { BlockActivations, PreNormActivations } from "./activations.js";
import { type AttentionLayers, type BlockParams, paramTree } from "./params.js";

/**
 * GPT-2 and GPT-Neo from tokens to hidden states: a decoder with layer norms before each block's attention and MLP, and one
 * after the last block (GPT-2's paper, section 2.3):
 *
 *     x = wte[token] + wpe[position]
 *     x = x + project(attention(norm(x)));  x = x + mlp(norm(x))      for each block
 *     hidden = norm(x)
 *
 * Nothing is computed here: `k` records operations, which a backend runs, and gives what they write its name (`h.0.attn`).
 * `p` holds the parameters; `io.visible` says which tokens each token sees; `drop` is dropout, in training; `options.cache`
 * has the keys and values of earlier tokens, in decoding.
 */
export function preNormForward<C extends ModelConfig>(
  layers: AttentionLayers<C>,
): Architecture<C, PreNormActivations>["forward"] {
  const { qkv, out } = layers;
  return (k, config, leaves, io, options = {}) => {
    const { nEmbd: C, nHead, activation, layerNormEpsilon: eps } = config;
    const p = paramTree(config, layers, leaves);
    const drop = dropoutOf(options);

    const block = (name: string, i: number, p: BlockParams<Tensor, Adapter>, x: Tensor): BlockActivations => {
      const ln1 = layernormForward(k, `${name}.ln_1`, x, p.ln1, eps);
      const scale = layers.scale(config, i);
      const attention = { nHead, width: C, scale, see: io.visible(i), drop: drop(dropSite.attn(i)) };
      const attn = selfAttentionForward(k, `${name}.attn`, qkv, ln1.out, p.qkv, attention, options.cache?.[i]);
      const projDrop = drop(dropSite.attnProj(i));
      const attnProj = projectForward(k, `${name}.attn.${out}`, attn.attn.out, p.attnProj, x, projDrop);
      const ln2 = layernormForward(k, `${name}.ln_2`, attnProj.out, p.ln2, eps);
      const mlp = mlpForward(k, `${name}.mlp`, ln2.out, p.mlp, activation, attnProj.out, drop(dropSite.mlpProj(i)));
      return { ln1, attention, attn, attnProj, ln2, mlp };
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
  };
}
