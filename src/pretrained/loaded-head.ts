import type { TaskHead } from "../architectures/task-head.js";
import { numel } from "../architectures/tensor-spec.js";
import type { StoredHead } from "./formats/task-head.js";

/** A head for a task, its weight in memory. It is so small that it is applied where its results are used. */
export interface LoadedHead extends TaskHead {
  /** [labels, C]. */
  readonly score: Float32Array;
}

/** @throws {CheckpointError} a value is NaN or infinite. */
export function loadHead({ kind, labels, score }: StoredHead): LoadedHead {
  score.checkFinite();
  const values = new Float32Array(numel(score.shape));
  score.readInto(values);
  return { kind, labels, score: values };
}

/** The head's outputs, one for each label, of a final hidden state [C]; summed in double precision. */
export function scoresOf({ labels, score }: LoadedHead, hidden: ArrayLike<number>): number[] {
  const C = hidden.length;
  return labels.map((_, k) => {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += score[k * C + c]! * hidden[c]!;
    return sum;
  });
}
