import type { Recorder, Scalar, Tensor } from "../program/program.js";
import type { Adapter } from "./adapted-linear.js";
import type { ModelConfig } from "./config.js";
import type { KvCache } from "./layers.js";
import type { Leaves, LowRank } from "./params.js";
import type { TaskHead } from "./task-head.js";
import type { TensorSpec } from "./tensor-spec.js";
import type { TokenInputs } from "./token-inputs.js";

/** How a text's hidden states become one vector: their mean, or the hidden state of the first or last token. */
export type Pooling = "mean" | "first" | "last";

/**
 * A family of models: how configurations are completed, the table of tensors, the forward pass. Backward passes are in
 * src/architectures/training.ts, and names in model files in each architecture's `formats` folder. Engine, trainer, encoder
 * and formats know models only through this interface.
 */
export interface Architecture<C extends ModelConfig = ModelConfig, A extends Activations = Activations> {
  /** Name in configurations: `gpt2`. */
  readonly name: string;
  /** Display name: `GPT-2`. */
  readonly label: string;
  /** `causal`: a token sees itself and earlier tokens, as generation needs. `bidirectional`: a token sees the whole text. */
  readonly attention: "causal" | "bidirectional";
  /** Default pooling of embeddings, and the token whose hidden state a task head reads. */
  readonly pooling: {
    readonly embedding: Pooling;
    readonly task: "first" | "last";
    /** The {@link Output} that the head reads instead of that hidden state, if any. */
    readonly output?: string;
  };
  /** Additional input columns: see {@link TokenInputs}. */
  readonly extraInputs: readonly string[];
  /** Prefix of tensor names in transformers' classes with a head: `transformer.`. */
  readonly prefix: string;
  /** Published shapes, by name. */
  readonly presets: Readonly<Record<string, Partial<C>>>;
  /** Linear layers of a block that adapters can be added to, in the order of the table. */
  readonly linear: readonly string[];

  /** Completes a configuration with the fields of the smallest published model. @throws {ConfigError} */
  complete(partial: Partial<C>): C;
  /** Every tensor, in checkpoint order. */
  tensors(config: C): TensorSpec[];
  /** Prefix of the names of a block's tensors: `h.0`. */
  block(layer: number): string;
  /** Name of the output head [V, C]: the token embedding, if they are tied. */
  head(config: C): string;
  /** Differences from the published models, for people. */
  differences(config: C): string[];
  /** Width of a layer's local window, in keys; undefined for global attention. */
  window(config: C, layer: number): number | undefined;
  /** Tensors of a task head, if it is not one linear layer without bias: see src/architectures/task-head.ts. */
  readonly task?: (config: C, head: TaskHead) => TensorSpec[];
  /** The configuration of a model with a task head, which has no other heads. */
  readonly withHead?: (config: C, head: TaskHead) => C;
  /** Modules that are trained whole beside an adapter, as heads read them: a pooler. */
  readonly wholeModules?: readonly string[];
  /** Outputs of the model besides the logits for generation, computed from hidden states, by name. */
  readonly outputs?: Readonly<Record<string, Output<C>>>;
  /** Why PEFT's adapters do not name this model's layers; undefined if they do. */
  adapterRefusal?(config: C): { readonly expected: string; readonly got: string } | undefined;
  forward(k: Recorder, config: C, p: Leaves<Tensor, Adapter>, io: TokenInputs, options?: ForwardOptions): A;
}

/** A part on top of hidden states whose tensors are in the table: a pooler, a head for masked tokens. */
export interface Output<C extends ModelConfig = ModelConfig> {
  /** Number of values for each hidden state. */
  width(config: C): number;
  /** Whether a model has this output. */
  present(config: C): boolean;
  /** Computes `out` [M, width] from hidden states x [M, C]. */
  forward(k: Recorder, config: C, p: Leaves<Tensor, Adapter>, x: Tensor, out: Tensor): void;
}

export interface ForwardOptions {
  /** Keys and values by layer, when decoding. */
  readonly cache?: readonly KvCache[] | undefined;
  /** Dropout probability (of embeddings, attention weights and each block's output), and the run's key. */
  readonly dropout?: { readonly p: number; readonly key: Scalar } | undefined;
}

/** Result of a forward pass, including everything that the architecture's backward pass needs. */
export interface Activations {
  /** [N, C], the input of heads. */
  readonly hidden: Tensor;
}

export interface BackwardOptions {
  /** Recompute each block's activations instead of keeping them: the forward pass keeps only the residual stream. */
  readonly recompute?: boolean;
}

/**
 * The mirror of `forward`: propagates the gradient at the hidden states [N, C] to every parameter. Gradients accumulate into
 * `g`; parameters without a gradient are frozen.
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
