import type { Backward } from "../architecture.js";
import { dropSite, embeddingBackward, mlpBackward, projectBackward } from "../blocks.js";
import type { ModelConfig } from "../config.js";
import { layernormBackward } from "../layers.js";
import { selfAttentionBackward } from "../self-attention.js";
import type { PreNormActivations } from "./activations.js";
import { type AttentionLayers, paramTree } from "./params.js";

/** The mirror of `preNormForward`: see {@link Backward}. */
export function preNormBackward<C extends ModelConfig>(layers: AttentionLayers<C>): Backward<C, PreNormActivations> {
  const { qkv, out } = layers;
  return (k, config, leaves, gradients, io, a, dlnF, { recompute = false } = {}) => {
    const N = io.tokens.shape[0]!;
    const [p, g] = [paramTree(config, layers, leaves), paramTree(config, layers, gradients)];

    /** The gradient at the residual stream, from the last block to the first. */
    const dx = k.temp("dresidual", [N, config.nEmbd]);
    layernormBackward(k, "ln_f", a.lnF, dlnF, dx, p.lnF, g.lnF, true);

    for (let i = config.nLayer - 1; i >= 0; i--) {
      const [name, block, grad] = [`h.${i}`, p.h[i]!, g.h[i]!];
      const act = recompute ? a.recompute(i) : a.h[i]!;
      const mlpDrop = a.drop(dropSite.mlpProj(i));
      const dln2 = mlpBackward(k, `${name}.mlp`, act.mlp, dx, block.mlp, grad.mlp, config.activation, mlpDrop);
      layernormBackward(k, `${name}.ln_2`, act.ln2, dln2, dx, block.ln2, grad.ln2);

      const projDrop = a.drop(dropSite.attnProj(i));
      const projName = `${name}.attn.${out}`;
      const datt = projectBackward(k, projName, act.attnProj, dx, block.attnProj, grad.attnProj, projDrop);
      const { attn, attention } = act;
      const dln1 = selfAttentionBackward(k, `${name}.attn`, qkv, attn, datt, block.qkv, grad.qkv, attention);
      layernormBackward(k, `${name}.ln_1`, act.ln1, dln1, dx, block.ln1, grad.ln1);
    }
    embeddingBackward(k, io, dx, g, a.drop(dropSite.embedding));
  };
}
