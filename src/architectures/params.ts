/** A weight [out, in] with its bias [out], if it has one; or a layer norm's gain and bias, both [C]. */
export interface Affine<T> {
  readonly weight: T;
  readonly bias: T;
}

/** Two thin matrices whose product is added to a weight (LoRA: src/architectures/lora.ts). */
export interface LowRank<T> {
  readonly a: T; // [r, in]
  readonly b: T; // [out, r]
}

/** Weight and bias of a linear layer, and its adapters in order. */
export interface Linear<T, L = LowRank<T>> {
  readonly weight: T;
  readonly bias?: T | undefined;
  readonly lowRank?: readonly L[];
}

/** Values by tensor name: tensors of a Program, gradients or arrays, with the adapters of linear layers. */
export interface Leaves<T, L = LowRank<T>> {
  /** The value of a tensor, by its name in the table. */
  tensor(name: string): T;
  /** Adapters of a linear layer: `h.0.attn.c_attn`. */
  adapters(layer: string): readonly L[];
}

export const affine = <T, L>(leaves: Leaves<T, L>, name: string): Affine<T> => {
  return { weight: leaves.tensor(`${name}.weight`), bias: leaves.tensor(`${name}.bias`) };
};

export const linear = <T, L>(leaves: Leaves<T, L>, name: string): Linear<T, L> => {
  return { ...affine(leaves, name), lowRank: leaves.adapters(name) };
};

export const linearWithoutBias = <T, L>(leaves: Leaves<T, L>, name: string): Linear<T, L> => {
  return { weight: leaves.tensor(`${name}.weight`), lowRank: leaves.adapters(name) };
};
