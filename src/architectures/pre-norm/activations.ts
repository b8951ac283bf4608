import type { Activations } from "../architecture.js";
import type { Mlp, Projection } from "../blocks.js";
import type { AttentionOptions, Dropout, Layernorm } from "../layers.js";
import type { SelfAttention } from "../self-attention.js";

/** Activations of one block, for N tokens and C channels. */
export interface BlockActivations {
  readonly ln1: Layernorm; // [N, C]; its x is the residual stream that came in
  readonly attention: AttentionOptions;
  readonly attn: SelfAttention; // [N, C]
  readonly attnProj: Projection; // [N, C]
  readonly ln2: Layernorm; // [N, C]
  readonly mlp: Mlp; // [N, C]
}

export interface PreNormActivations extends Activations {
  readonly h: readonly BlockActivations[];
  readonly lnF: Layernorm; // [N, C]
  /** The dropout at each site, for the backward pass. */
  readonly drop: (site: number) => Dropout;
  /** Recomputes block i from the residual stream at its input. */
  readonly recompute: (layer: number) => BlockActivations;
}
