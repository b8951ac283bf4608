import type { TaskHead } from "../architectures/task-head.js";
import { numel } from "../architectures/tensor-spec.js";
import type { StoredHead } from "./formats/task-head.js";

/** A task head in memory. It is so small that it is applied in JavaScript, where its results are used. */
export interface LoadedHead extends TaskHead {
  /** [labels, C]. */
  readonly weight: Float32Array;
  /** [labels]. */
  readonly bias?: Float32Array | undefined;
}

/** @throws {CheckpointError} a value is NaN or infinite. */
export function loadHead({ kind, labels, tensors }: StoredHead): LoadedHead {
  const [weight, bias] = [...tensors.values()].map((tensor) => {
    tensor.checkFinite();
    const values = new Float32Array(numel(tensor.shape));
    tensor.readInto(values);
    return values;
  });
  return { kind, labels, weight: weight!, bias };
}

/** The head's outputs for a hidden state [C], one for each label, summed in double precision. */
export function scoresOf({ labels, weight, bias }: LoadedHead, hidden: ArrayLike<number>): number[] {
  const C = hidden.length;
  return labels.map((_, k) => {
    let sum = bias?.[k] ?? 0;
    for (let c = 0; c < C; c++) sum += weight[k * C + c]! * hidden[c]!;
    return sum;
  });
}
