import type { Recorder, Tensor } from "../../program/program.js";
import { type Adapter, adaptedBackward } from "../adapted-linear.js";
import { activationBackward, attentionBackward, dropout, layernormBackward } from "../layers.js";
import type { GPT2Config } from "./config.js";
import { type Activations, dropSite, type TokenInputs } from "./forward.js";
import type { Params } from "./params.js";

export interface BackwardOptions {
  /** Compute each block's activations again instead of keeping them: of the forward pass only the residual stream stays. */
  readonly recompute?: boolean;
}

/**
 * The mirror of `forward`: from the gradient at the final layer norm's output [N, C] to every parameter's. Gradients
 * accumulate into `g`; a parameter without one is frozen.
 */
export function backward(
  k: Recorder,
  config: GPT2Config,
  p: Params<Tensor, Adapter>,
  g: Params<Tensor | undefined>,
  io: TokenInputs,
  a: Activations,
  dlnF: Tensor,
  { recompute = false }: BackwardOptions = {},
): void {
  const { nEmbd: C } = config;
  const N = io.tokens.shape[0]!;
  const unproject = (name: string, dout: Tensor, site: number): Tensor =>
    a.drop(site).p === 0 ? dout : dropout(k, `${name}.ddrop`, dout, undefined, a.drop(site));

  /** The linear operations know GPT-2's activation; others come after them. */
  const fused = config.activation === "gelu_new";

  /** The gradient at the residual stream, walking down it. */
  const dx = k.temp("dresidual", [N, C]);
  layernormBackward(k, "ln_f", a.lnF, dlnF, dx, p.lnF, g.lnF, true);

  for (let i = config.nLayer - 1; i >= 0; i--) {
    const [name, block, grad] = [`h.${i}`, p.h[i]!, g.h[i]!];
    const act = recompute ? a.again(i) : a.h[i]!;
    const dmlp = unproject(`${name}.mlp.c_proj`, dx, dropSite.mlpProj(i));
    const geluOf = fused ? act.fc : undefined;
    const dfc = adaptedBackward(k, `${name}.mlp.c_proj`, act.mlpProj, dmlp, block.mlp.cProj, grad.mlp.cProj, geluOf);
    if (!fused) activationBackward(k, `${name}.mlp.c_fc`, config.activation, dfc, act.fc);
    const dln2 = adaptedBackward(k, `${name}.mlp.c_fc`, act.gelu, dfc, block.mlp.cFc, grad.mlp.cFc);
    layernormBackward(k, `${name}.ln_2`, act.ln2, dln2, dx, block.ln2, grad.ln2);

    const dproj = unproject(`${name}.attn.c_proj`, dx, dropSite.attnProj(i));
    const datt = adaptedBackward(k, `${name}.attn.c_proj`, act.attnProj, dproj, block.attn.cProj, grad.attn.cProj);
    const { qkv, attn } = act;
    const dqkv = attentionBackward(k, `${name}.attn`, config, i, qkv.out, attn, datt, io, a.drop(dropSite.attn(i)));
    const dln1 = adaptedBackward(k, `${name}.attn.c_attn`, qkv, dqkv, block.attn.cAttn, grad.attn.cAttn);
    layernormBackward(k, `${name}.ln_1`, act.ln1, dln1, dx, block.ln1, grad.ln1);
  }

  if (!g.wte && !g.wpe) return;
  const dembedding = unproject("embedding", dx, dropSite.embedding);
  const { tokens, positions } = io;
  k.op(
    "embeddingBackward",
    "embedding",
    { dwte: g.wte, dwpe: g.wpe, dout: dembedding, tokens, positions },
    { N, C },
    {},
  );
}
