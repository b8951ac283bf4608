import type { Recorder, Scalar, Tensor } from "../program/program.js";
import type { Adapter } from "./adapted-linear.js";
import type { ModelConfig } from "./config.js";
import type { KvCache } from "./layers.js";
import type { Leaves, LowRank } from "./params.js";
import type { TaskHead } from "./task-head.js";
import type { TensorSpec } from "./tensor-spec.js";
import type { TokenInputs } from "./token-inputs.js";

/** How the hidden states of a text become one vector: their mean, or that of the first or last token. */
export type Pooling = "mean" | "first" | "last";

/**
 * A family of models: how configurations are completed, the table of tensors, the forward pass. Backward passes are in
 * src/architectures/training.ts, names in files in each architecture's `formats` folder. Engine, trainer, encoder and files
 * know models through this interface alone.
 */
export interface Architecture<C extends ModelConfig = ModelConfig, A extends Activations = Activations> {
  /** Name in configurations: `gpt2`. */
  readonly name: string;
  /** Name for people: `GPT-2`. */
  readonly label: string;
  /** `causal`: a token sees itself and the tokens before it, as generation needs. `bidirectional`: all of its text. */
  readonly attention: "causal" | "bidirectional";
  /** Default pooling of embeddings, and the token whose hidden state a task head reads. */
  readonly pooling: {
    readonly embedding: Pooling;
    readonly task: "first" | "last";
    /** The {@link Output} of that token that the head reads instead, where there is one. */
    readonly output?: string;
  };
  /** Input columns besides those of every model: see {@link TokenInputs}. */
  readonly extraInputs: readonly string[];
  /** Prefix of tensor names in transformers' classes with a head: `transformer.`. */
  readonly prefix: string;
  /** Published shapes, by name. */
  readonly presets: Readonly<Record<string, Partial<C>>>;
  /** Linear layers of a block that adapters can be added to, in the order of the table. */
  readonly linear: readonly string[];

  /** A complete configuration; gaps are filled from the smallest published model. @throws {ConfigError} */
  complete(partial: Partial<C>): C;
  /** Every tensor, in checkpoint order. */
  tensors(config: C): TensorSpec[];
  /** Prefix of the names of a block's tensors: `h.0`. */
  block(layer: number): string;
  /** Name of the output head [V, C]: the token embedding, if they are tied. */
  head(config: C): string;
  /** Differences from the published models, in words. */
  differences(config: C): string[];
  /** Width of the local window of a layer, in keys; undefined where attention is global. */
  window(config: C, layer: number): number | undefined;
  /** Tensors of a head for a task, in place of one linear layer without bias: see src/architectures/task-head.ts. */
  readonly task?: (config: C, head: TaskHead) => TensorSpec[];
  /** The configuration of a model with such a head, which has no other. */
  readonly withHead?: (config: C, head: TaskHead) => C;
  /** Modules that are trained whole beside an adapter, as heads read them: a pooler. */
  readonly wholeModules?: readonly string[];
  /** What the model computes from hidden states besides the vocabulary's logits of generation, by name. */
  readonly outputs?: Readonly<Record<string, Output<C>>>;
  forward(k: Recorder, config: C, p: Leaves<Tensor, Adapter>, io: TokenInputs, options?: ForwardOptions): A;
}

/** A part on top of hidden states whose tensors are in the table: a pooler, a head for masked tokens. */
export interface Output<C extends ModelConfig = ModelConfig> {
  /** Values for each hidden state. */
  width(config: C): number;
  /** Whether a model has it. */
  present(config: C): boolean;
  /** Sets `out` [M, width] from hidden states x [M, C]. */
  forward(k: Recorder, config: C, p: Leaves<Tensor, Adapter>, x: Tensor, out: Tensor): void;
}

export interface ForwardOptions {
  /** Keys and values by layer, when decoding. */
  readonly cache?: readonly KvCache[] | undefined;
  /** Probability of dropping (embeddings, attention weights, each block's output), and the run's key. */
  readonly dropout?: { readonly p: number; readonly key: Scalar } | undefined;
}

/** Result of a forward pass, with whatever the backward pass of the same architecture needs. */
export interface Activations {
  /** [N, C], the input of heads. */
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
