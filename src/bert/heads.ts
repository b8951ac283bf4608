import type { TaskHead } from "../architectures/task-head.js";
import { UsageError } from "../errors.js";
import type { LoadedHead } from "../pretrained/loaded-head.js";
import type { TextLabel } from "./options.js";
import { largestIndices, softmax } from "./probabilities.js";

/** @throws {UsageError} the model has no head of one of these kinds. */
export function needTaskHead(
  kinds: readonly TaskHead["kind"][],
  head: LoadedHead | undefined,
  method: string,
): LoadedHead {
  if (head && kinds.includes(head.kind)) return head;
  throw new UsageError({
    op: `BERT.${method}`,
    expected: `a model fine-tuned for ${kinds.join(" or ")}`,
    got: head ? `one for ${head.kind}` : "one without a task",
  });
}

/** The most probable labels; for regression, the number alone. */
export function topLabels({ kind, labels }: TaskHead, scores: readonly number[], topK: number): TextLabel[] {
  if (kind === "regression") return [{ label: labels[0]!, score: scores[0]! }];
  const probabilities = softmax(scores);
  return largestIndices(probabilities, topK).map((i) => ({ label: labels[i]!, score: probabilities[i]! }));
}

/** @throws {UsageError} not a positive integer. */
export function positive(op: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new UsageError({ op, expected: "a positive integer", got: String(value) });
}
