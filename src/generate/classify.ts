import type { TaskHead } from "../architectures/task-head.js";
import { UsageError } from "../errors.js";
import { type LoadedHead, scoresOf } from "../pretrained/loaded-head.js";

/** A classifier's result for one text. */
export interface Classification {
  /** The most probable label. */
  readonly label: string;
  /** Its probability. */
  readonly probability: number;
  /** One for each label, in the model's order. */
  readonly scores: readonly LabelScore[];
}

export interface LabelScore {
  readonly label: string;
  readonly probability: number;
  /** Before the softmax. */
  readonly logit: number;
}

/** Softmax of the head's outputs. @param hidden final hidden state of the text's last token */
export function classification(head: LoadedHead, hidden: ArrayLike<number>): Classification {
  const logits = scoresOf(head, hidden);
  const most = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - most));
  const sum = weights.reduce((a, b) => a + b, 0);
  const scores = head.labels.map((label, i) => ({ label, probability: weights[i]! / sum, logit: logits[i]! }));
  const { label, probability } = scores[logits.indexOf(most)]!;
  return { label, probability, scores };
}

/** The unit vector of the same direction, so that dot products are cosines; zero stays zero. */
export function normalized(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return length === 0 ? vector : vector.map((x) => x / length);
}

/** @throws {UsageError} the model, or adapter, has no head of this kind. */
export function needHead(kind: TaskHead["kind"], head: LoadedHead | undefined): LoadedHead {
  if (head?.kind === kind) return head;
  const task = kind === "classification" ? "classify" : "regress";
  throw new UsageError({
    op: task === "classify" ? "classifying a text" : "regression on a text",
    expected: `a model or adapter fine-tuned for ${kind}`,
    got: head ? `one for ${head.kind}` : "one that generates text",
    hint: `gpt2 finetune --task ${task} makes one`,
  });
}
