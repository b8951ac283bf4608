import { DTYPES, type WeightType } from "../dtype/dtype.js";
import type { TensorSpec } from "./tensor-spec.js";

/**
 * The storage dtype of a tensor when the model's weights are to be `dtype`: the matrices that are multiplied in that type,
 * or in f16 if their rows are not whole blocks of it; vectors and position embeddings, a hundredth of the weights, in f32.
 * GGUF files of GPT-2 hold them so.
 */
export function heldAs({ shape, f32 }: Pick<TensorSpec, "shape" | "f32">, dtype: WeightType): WeightType {
  if (shape.length < 2 || f32) return "f32";
  return shape.at(-1)! % DTYPES[dtype].block === 0 ? dtype : "f16";
}
