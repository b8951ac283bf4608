import type { Recorder, Tensor } from "../../program/program.js";
import type { Adapter } from "../adapted-linear.js";
import type { BackwardOptions } from "../architecture.js";
import { dropSite, mlpBackward, projectBackward } from "../blocks.js";
import { dropout, layernormBackward } from "../layers.js";
import type { Leaves, LowRank } from "../params.js";
import { selfAttentionBackward } from "../self-attention.js";
import type { TokenInputs } from "../token-inputs.js";
import type { BertConfig } from "./config.js";
import { attentionOptions, type BertActivations, QKV, TOKEN_TYPES } from "./forward.js";
import { type Params, paramTree } from "./params.js";
import { blockName } from "./tensors.js";

type Gradients = Params<Tensor | undefined, LowRank<Tensor | undefined>>;

/** The mirror of `forward`: see {@link Backward}. */
export function backward(
  rec: Recorder,
  config: BertConfig,
  leaves: Leaves<Tensor, Adapter>,
  gradients: Leaves<Tensor | undefined, LowRank<Tensor | undefined>>,
  io: TokenInputs,
  a: BertActivations,
  dhidden: Tensor,
  { recompute = false }: BackwardOptions = {},
): void {
  const { nEmbd: C, activation } = config;
  const N = io.tokens.shape[0]!;
  const [p, g] = [paramTree(config, leaves), paramTree(config, gradients)];
  let dout = dhidden;
  for (let i = config.nLayer - 1; i >= 0; i--) {
    const [name, params, grads] = [blockName(i), p.blocks[i]!, g.blocks[i]!];
    const act = recompute ? a.recompute(i) : a.blocks[i]!;
    const temp = (part: string): Tensor => rec.temp(`${name}.${part}`, [N, C]);

    // The gradient at each sum goes two ways: through the layer, and along the residual.
    const dsum2 = temp("dsum2");
    layernormBackward(rec, `${name}.norm`, act.outputNorm, dout, dsum2, params.outputNorm, grads.outputNorm, true);
    const mlpDrop = a.drop(dropSite.mlpProj(i));
    const dy = mlpBackward(rec, `${name}.mlp`, act.mlp, dsum2, params.mlp, grads.mlp, activation, mlpDrop);
    rec.op("add", `${name}.dy`, { out: dy, a: dy, b: dsum2 }, { N, C }, {});

    const dsum1 = temp("dsum1");
    const [norm, dnorm] = [params.attentionNorm, grads.attentionNorm];
    layernormBackward(rec, `${name}.attention.norm`, act.attentionNorm, dy, dsum1, norm, dnorm, true);
    const [project, dproject] = [params.attentionOutput, grads.attentionOutput];
    const projectDrop = a.drop(dropSite.attnProj(i));
    const output = `${name}.attention.output`;
    const datt = projectBackward(rec, output, act.attentionOutput, dsum1, project, dproject, projectDrop);
    const options = attentionOptions(config, io, i, a.drop(dropSite.attn(i)));
    selfAttentionBackward(rec, `${name}.attention`, QKV, act.self, datt, params.qkv, grads.qkv, options, dsum1);
    dout = dsum1;
  }
  embedBackward(rec, io, a, dout, p, g);
}

function embedBackward(
  rec: Recorder,
  io: TokenInputs,
  a: BertActivations,
  dout: Tensor,
  p: Params<Tensor, Adapter>,
  g: Gradients,
): void {
  const [N, C] = dout.shape as [number, number];
  const drop = a.drop(dropSite.embedding);
  const dnorm = drop.p > 0 ? dropout(rec, "embedding.ddrop", dout, undefined, drop) : dout;
  const dx = rec.temp("dembedding", [N, C]);
  layernormBackward(rec, "embedding.norm", a.embedding, dnorm, dx, p.norm, g.norm, true);
  const { tokens, positions } = io;
  const record = (name: string, tensors: { dwte?: Tensor | undefined; dwpe?: Tensor | undefined; tokens: Tensor }) => {
    if (tensors.dwte || tensors.dwpe)
      rec.op("embeddingBackward", name, { ...tensors, dout: dx, positions }, { N, C }, {});
  };
  record("embedding", { dwte: g.words, dwpe: g.positions, tokens });
  if (g.types) record("embedding.types", { dwte: g.types, tokens: io.extra(TOKEN_TYPES) });
}
