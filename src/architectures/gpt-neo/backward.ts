import type { Recorder, Tensor } from "../../program/program.js";
import { type Adapter, adaptedBackward } from "../adapted-linear.js";
import type { BackwardOptions } from "../architecture.js";
import { dropSite, embeddingBackward, mlpBackward, projectBackward } from "../blocks.js";
import { attentionBackward, layernormBackward, separateQkv } from "../layers.js";
import type { Leaves, LowRank } from "../params.js";
import type { TokenInputs } from "../token-inputs.js";
import type { GPTNeoConfig } from "./config.js";
import { type GPTNeoActivations, SCALE } from "./forward.js";
import { paramTree } from "./params.js";

/** The mirror of `forward`: see {@link Backward}. */
export function backward(
  rec: Recorder,
  config: GPTNeoConfig,
  leaves: Leaves<Tensor, Adapter>,
  gradients: Leaves<Tensor | undefined, LowRank<Tensor | undefined>>,
  io: TokenInputs,
  a: GPTNeoActivations,
  dlnF: Tensor,
  { recompute = false }: BackwardOptions = {},
): void {
  const { nEmbd: C, nHead, activation } = config;
  const N = io.tokens.shape[0]!;
  const [p, g] = [paramTree(config, leaves), paramTree(config, gradients)];

  /** The gradient at the residual stream, walking down it. */
  const dx = rec.temp("dresidual", [N, C]);
  layernormBackward(rec, "ln_f", a.lnF, dlnF, dx, p.lnF, g.lnF, true);

  for (let i = config.nLayer - 1; i >= 0; i--) {
    const [name, block, grad] = [`h.${i}`, p.h[i]!, g.h[i]!];
    const act = recompute ? a.recompute(i) : a.h[i]!;
    const mlpDrop = a.drop(dropSite.mlpProj(i));
    const dln2 = mlpBackward(rec, `${name}.mlp`, act.mlp, dx, block.mlp, grad.mlp, activation, mlpDrop);
    layernormBackward(rec, `${name}.ln_2`, act.ln2, dln2, dx, block.ln2, grad.ln2);

    const { attn } = block;
    const projDrop = a.drop(dropSite.attnProj(i));
    const datt = projectBackward(
      rec,
      `${name}.attn.out_proj`,
      act.outProj,
      dx,
      attn.outProj,
      grad.attn.outProj,
      projDrop,
    );
    const [dq, dk, dv] = ["dq", "dk", "dv"].map((d) => rec.temp(`${name}.attn.${d}`, [N, C])) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const [qkv, d] = [separateQkv(act.q.out, act.k.out, act.v.out, C), separateQkv(dq, dk, dv, C)];
    const attention = { nHead, width: C, scale: SCALE, see: io.visible(i), drop: a.drop(dropSite.attn(i)) };
    attentionBackward(rec, `${name}.attn`, qkv, d, act.attn, datt, attention);

    // The three projections read one layer norm: their gradients at it add up.
    const dln1 = adaptedBackward(rec, `${name}.attn.q_proj`, act.q, dq, attn.qProj, grad.attn.qProj);
    adaptedBackward(rec, `${name}.attn.k_proj`, act.k, dk, attn.kProj, grad.attn.kProj, { addTo: dln1 });
    adaptedBackward(rec, `${name}.attn.v_proj`, act.v, dv, attn.vProj, grad.attn.vProj, { addTo: dln1 });
    layernormBackward(rec, `${name}.ln_1`, act.ln1, dln1, dx, block.ln1, grad.ln1);
  }
  embeddingBackward(rec, io, dx, g, a.drop(dropSite.embedding));
}
