import { DTYPES, type WeightType } from "../dtype/dtype.js";
import type { TensorSpec } from "./tensor-spec.js";

/**
 * The storage dtype of a tensor if the model's weights are to be `dtype`: that dtype for matrices that are multiplied, or f16
 * if their rows are not whole blocks; f32 for vectors and position embeddings, about 1% of the weights. This is how GGUF files
 * of GPT-2 store them.
 */
export function heldAs({ shape, f32 }: Pick<TensorSpec, "shape" | "f32">, dtype: WeightType): WeightType {
  if (shape.length < 2 || f32) return "f32";
  return shape.at(-1)! % DTYPES[dtype].block === 0 ? dtype : "f16";
}
