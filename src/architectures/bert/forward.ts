import type { Recorder, Tensor } from "../../program/program.js";
import type { Adapter } from "../adapted-linear.js";
import type { Activations, ForwardOptions } from "../architecture.js";
import { dropoutOf, dropSite, type Mlp, mlpForward, type Projection, projectForward } from "../blocks.js";
import { type AttentionOptions, type Dropout, dropout, type Layernorm, layernormForward } from "../layers.js";
import type { Leaves } from "../params.js";
import { type SelfAttention, selfAttentionForward } from "../self-attention.js";
import type { TokenInputs } from "../token-inputs.js";
import type { BertConfig } from "./config.js";
import { type BlockParams, type Params, paramTree } from "./params.js";
import { blockName } from "./tensors.js";

/** Names of attention's input projections. */
export const QKV = ["query", "key", "value"] as const;

/** The input column of token types. */
export const TOKEN_TYPES = "tokenTypes";

/** Activations of one block, for N tokens and C channels. */
export interface BlockActivations {
  readonly x: Tensor; // [N, C], the block's input
  readonly self: SelfAttention; // [N, C]
  readonly attentionOutput: Projection; // [N, C], with x added
  readonly attentionNorm: Layernorm; // [N, C]
  readonly mlp: Mlp; // [N, C], with the output of attentionNorm added
  readonly outputNorm: Layernorm; // [N, C]
}

export interface BertActivations extends Activations {
  readonly embedding: Layernorm; // [N, C]
  readonly blocks: readonly BlockActivations[];
  /** The dropout at each site, for the backward pass. */
  readonly drop: (site: number) => Dropout;
  /** Recomputes block i from its input. */
  readonly recompute: (layer: number) => BlockActivations;
}

export const attentionOptions = (
  { nEmbd, nHead }: BertConfig,
  io: TokenInputs,
  layer: number,
  drop: Dropout,
): AttentionOptions => {
  return { nHead, width: nEmbd, scale: 1 / Math.sqrt(nEmbd / nHead), see: io.visible(layer), drop };
};

/**
 * BERT from tokens to hidden states (Devlin et al. 2019, section 3): the blocks of Vaswani et al. 2017, with GELU and with layer
 * norms after each sum.
 */
export function forward(
  rec: Recorder,
  config: BertConfig,
  leaves: Leaves<Tensor, Adapter>,
  io: TokenInputs,
  options: ForwardOptions = {},
): BertActivations {
  const { activation, layerNormEpsilon: eps } = config;
  const p = paramTree(config, leaves);
  const drop = dropoutOf(options);

  const block = (name: string, i: number, p: BlockParams<Tensor, Adapter>, x: Tensor): BlockActivations => {
    const options = attentionOptions(config, io, i, drop(dropSite.attn(i)));
    const self = selfAttentionForward(rec, `${name}.attention`, QKV, x, p.qkv, options);
    const projectDrop = drop(dropSite.attnProj(i));
    const project = `${name}.attention.output`;
    const attentionOutput = projectForward(rec, project, self.attn.out, p.attentionOutput, x, projectDrop);
    const attentionNorm = layernormForward(rec, `${name}.attention.norm`, attentionOutput.out, p.attentionNorm, eps);
    const y = attentionNorm.out;
    const mlp = mlpForward(rec, `${name}.mlp`, y, p.mlp, activation, y, drop(dropSite.mlpProj(i)));
    const outputNorm = layernormForward(rec, `${name}.norm`, mlp.proj.out, p.outputNorm, eps);
    return { x, self, attentionOutput, attentionNorm, mlp, outputNorm };
  };

  const embedding = layernormForward(rec, "embedding.norm", embed(rec, config, p, io), p.norm, eps);
  const embeddingDrop = drop(dropSite.embedding);
  let x = embedding.out;
  if (embeddingDrop.p > 0) x = dropout(rec, "embedding.drop", x, undefined, embeddingDrop);
  const blocks = p.blocks.map((params, i) => {
    const act = block(blockName(i), i, params, x);
    x = act.outputNorm.out;
    return act;
  });
  const recompute = (i: number) => block(`${blockName(i)}.recompute`, i, p.blocks[i]!, blocks[i]!.x);
  return { hidden: x, embedding, blocks, drop, recompute };
}

/** [N, C]: the sum of each token's word, position and type embeddings. */
function embed(rec: Recorder, { nEmbd: C }: BertConfig, p: Params<Tensor, Adapter>, io: TokenInputs): Tensor {
  const { tokens, positions } = io;
  const N = tokens.shape[0]!;
  const words = rec.temp("embedding", [N, C]);
  const tables = { wte: p.words, wpe: p.positions };
  rec.op("embeddingForward", "embedding", { out: words, tokens, positions, ...tables }, { N, C }, {});
  if (p.types === undefined) return words;
  const types = rec.temp("embedding.types", [N, C]);
  rec.op("gatherRows", "embedding.types", { out: types, x: p.types, index: io.extra(TOKEN_TYPES) }, { N, W: C }, {});
  const sum = rec.temp("embedding.sum", [N, C]);
  rec.op("add", "embedding.sum", { out: sum, a: words, b: types }, { N, C }, {});
  return sum;
}
