/**
 * One tensor of a model, as an architecture's table lists it. Allocation, checkpoint reading and writing, optimizer groups,
 * initialisation and tests walk these tables. Names are Hugging Face's without the prefix of the whole model; matrices are
 * [out, in] in memory (llm.c's and GGUF's layout).
 */
export interface TensorSpec {
  /** `wte.weight`, `h.0.attn.c_attn.bias`, … */
  readonly name: string;
  readonly shape: readonly number[];
  /** A matrix that Hugging Face and OpenAI files hold as [in, out]. */
  readonly conv1d: boolean;
  /**
   * Initial values: N(0, 0.02); with a standard deviation of its own for `position`; scaled by 1/sqrt(2 nLayer) for
   * `residual`; and `uniform` within ±1/sqrt(in), for adapters.
   */
  readonly init: "normal" | "position" | "residual" | "zero" | "one" | "uniform";
  /** Whether AdamW decays it: matrices only. */
  readonly decay: boolean;
  /** Matrices of one size that are stacked in it by rows, for an optimizer that treats matrices as such; by default 1. */
  readonly stacked?: number;
  /** The layer it belongs to, or -1. */
  readonly layer: number;
  /** Gain or bias of a layer norm. */
  readonly norm?: true;
  /** A matrix whose storage dtype is always f32: no operation reads it in another type. */
  readonly f32?: true;
}

/** Name of the output head in the table of tensors, where it is not tied. */
export const HEAD = "lm_head.weight";

/** A vector with weight decay off, zero at first. */
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
