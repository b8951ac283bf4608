/**
 * A tensor in an architecture's table. Allocation, checkpoint reading and writing, optimizer groups, initialization and tests
 * walk these tables. Names are Hugging Face's without the prefix of the whole model. Matrices are [out, in] in memory, as in
 * llm.c and GGUF.
 */
export interface TensorSpec {
  /** `wte.weight`, `h.0.attn.c_attn.bias`, … */
  readonly name: string;
  readonly shape: readonly number[];
  /** A matrix that Hugging Face and OpenAI files hold as [in, out]. */
  readonly conv1d: boolean;
  /**
   * Initial values: `normal` is N(0, 0.02), `position` has its own standard deviation, `residual` is scaled by 1/sqrt(2 nLayer),
   * and `uniform` is within ±1/sqrt(in), for adapters.
   */
  readonly init: "normal" | "position" | "residual" | "zero" | "one" | "uniform";
  /** Whether AdamW decays it: matrices only. */
  readonly decay: boolean;
  /** Number of equal matrices stacked in it by rows, for optimizers of matrices. Default 1. */
  readonly stacked?: number;
  /** The layer it belongs to, or -1. */
  readonly layer: number;
  /** Gain or bias of a layer norm. */
  readonly norm?: true;
  /** Keeps the matrix in f32: no operation reads it in another storage dtype. */
  readonly f32?: true;
}

/** Name of an untied output head in the table of tensors. */
export const HEAD = "lm_head.weight";

/** A vector without weight decay, zero at first. */
export const vectorSpec = (name: string, size: number, layer: number): TensorSpec => {
  return { name, shape: [size], conv1d: false, init: "zero", decay: false, layer };
};

/** Gain and bias of the layer norm `name`. */
export const normSpecs = (name: string, size: number, layer: number): TensorSpec[] => [
  { ...vectorSpec(`${name}.weight`, size, layer), init: "one", norm: true },
  { ...vectorSpec(`${name}.bias`, size, layer), norm: true },
];

export function numel(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1);
}
