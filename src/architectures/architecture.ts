import type { Recorder, Scalar, Tensor } from "../program/program.js";
import type { Adapter } from "./adapted-linear.js";
import type { ModelConfig } from "./config.js";
import type { KvCache } from "./layers.js";
import type { Leaves, LowRank } from "./params.js";
import type { TensorSpec } from "./tensor-spec.js";
import type { TokenInputs } from "./token-inputs.js";

/** How the hidden states of a text's tokens become one vector: their mean, or the first or last token's. */
export type Pooling = "mean" | "first" | "last";

/**
 * A family of models: how its configurations are completed, its table of tensors, and its forward pass; its backward pass is
 * in src/architectures/training.ts, its names in files in the descriptors of formats. Engine, trainer, encoder and files
 * know models by this alone.
 */
export interface Architecture<C extends ModelConfig = ModelConfig, A extends Activations = Activations> {
  /** What configurations call it: `gpt2`. */
  readonly name: string;
  /** What people call it: `GPT-2`. */
  readonly label: string;
  /** Whether a token sees what stands before it, as a model that generates needs, or all of its text. */
  readonly attention: "causal" | "bidirectional";
  /** How a text becomes one vector: of embeddings by default, and the token from which a task's head reads. */
  readonly pooling: { readonly embedding: Pooling; readonly task: "first" | "last" };
  /** Columns that a run takes besides those of every model: see {@link TokenInputs}. */
  readonly extraInputs: readonly string[];
  /** Published shapes, by name. */
  readonly presets: Readonly<Record<string, Partial<C>>>;
  /** The linear layers of a block, in the order of the table: those that adapters can be added to. */
  readonly linear: readonly string[];

  /** A complete configuration, with what is not given as in the smallest published model. @throws {ConfigError} */
  complete(partial: Partial<C>): C;
  /** Every tensor, in checkpoint order. */
  tensors(config: C): TensorSpec[];
  /** What the names of a block's tensors begin with: `h.0`. */
  block(layer: number): string;
  /** The tensor that is the output head [V, C]: the token embedding, if they are tied. */
  head(config: C): string;
  /** What the model computes otherwise than the published ones, in words. */
  differences(config: C): string[];
  /** How many keys, the newest, a token sees in a layer; undefined for all. */
  window(config: C, layer: number): number | undefined;
  forward(k: Recorder, config: C, p: Leaves<Tensor, Adapter>, io: TokenInputs, options?: ForwardOptions): A;
}

export interface ForwardOptions {
  /** Keys and values by layer, when decoding. */
  readonly cache?: readonly KvCache[] | undefined;
  /** Probability of dropping (embeddings, attention weights, each block's output), and the run's key. */
  readonly dropout?: { readonly p: number; readonly key: Scalar } | undefined;
}

/** What a forward pass leaves: its result, and what the backward pass of the same architecture needs. */
export interface Activations {
  /** [N, C], what heads read. */
  readonly hidden: Tensor;
}

export interface BackwardOptions {
  /** Recompute each block's activations instead of keeping them: of the forward pass only the residual stream stays. */
  readonly recompute?: boolean;
}

/**
 * The mirror of `forward`: from the gradient at the hidden states [N, C] to every parameter's. Gradients accumulate into
 * `g`; a parameter without one is frozen.
 */
export type Backward<C extends ModelConfig = ModelConfig, A extends Activations = Activations> = (
  k: Recorder,
  config: C,
  p: Leaves<Tensor, Adapter>,
  g: Leaves<Tensor | undefined, LowRank<Tensor | undefined>>,
  io: TokenInputs,
  a: A,
  dhidden: Tensor,
  options?: BackwardOptions,
) => void;
