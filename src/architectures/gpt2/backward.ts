import type { Recorder, Tensor } from "../../program/program.js";
import { type Adapter, adaptedBackward } from "../adapted-linear.js";
import type { BackwardOptions } from "../architecture.js";
import { dropSite, embeddingBackward, mlpBackward, projectBackward } from "../blocks.js";
import { attentionBackward, layernormBackward, packedQkv } from "../layers.js";
import type { Leaves, LowRank } from "../params.js";
import type { TokenInputs } from "../token-inputs.js";
import { attentionScale, type GPT2Config } from "./config.js";
import type { GPT2Activations } from "./forward.js";
import { paramTree } from "./params.js";

/** The mirror of `forward`: see {@link Backward}. */
export function backward(
  k: Recorder,
  config: GPT2Config,
  leaves: Leaves<Tensor, Adapter>,
  gradients: Leaves<Tensor | undefined, LowRank<Tensor | undefined>>,
  io: TokenInputs,
  a: GPT2Activations,
  dlnF: Tensor,
  { recompute = false }: BackwardOptions = {},
): void {
  const { nEmbd: C, nHead, activation } = config;
  const N = io.tokens.shape[0]!;
  const [p, g] = [paramTree(config, leaves), paramTree(config, gradients)];

  /** The gradient at the residual stream, walking down it. */
  const dx = k.temp("dresidual", [N, C]);
  layernormBackward(k, "ln_f", a.lnF, dlnF, dx, p.lnF, g.lnF, true);

  for (let i = config.nLayer - 1; i >= 0; i--) {
    const [name, block, grad] = [`h.${i}`, p.h[i]!, g.h[i]!];
    const act = recompute ? a.recompute(i) : a.h[i]!;
    const mlpDrop = a.drop(dropSite.mlpProj(i));
    const dln2 = mlpBackward(k, `${name}.mlp`, act.mlp, dx, block.mlp, grad.mlp, activation, mlpDrop);
    layernormBackward(k, `${name}.ln_2`, act.ln2, dln2, dx, block.ln2, grad.ln2);

    const { cProj, cAttn } = block.attn;
    const drop = a.drop(dropSite.attnProj(i));
    const datt = projectBackward(k, `${name}.attn.c_proj`, act.attnProj, dx, cProj, grad.attn.cProj, drop);
    const see = io.visible(i);
    const attention = { nHead, width: C, scale: attentionScale(config, i), see, drop: a.drop(dropSite.attn(i)) };
    const dqkv = k.temp(`${name}.attn.dqkv`, [N, 3 * C]);
    const [qkv, d] = [packedQkv(act.qkv.out, C), packedQkv(dqkv, C)];
    attentionBackward(k, `${name}.attn`, qkv, d, act.attn, datt, attention);
    const dln1 = adaptedBackward(k, `${name}.attn.c_attn`, act.qkv, dqkv, cAttn, grad.attn.cAttn);
    layernormBackward(k, `${name}.ln_1`, act.ln1, dln1, dx, block.ln1, grad.ln1);
  }
  embeddingBackward(k, io, dx, g, a.drop(dropSite.embedding));
}
