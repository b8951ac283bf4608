import type { Outcome } from "./task-arrays.js";

/** Scores of spans found in held-out windows, by tokens; `gpt2 answer --data` scores their text by SQuAD's rules. */
export interface SpanReport {
  readonly windows: number;
  /** Share of windows whose span, or lack of one, is found exactly. */
  readonly exact: number;
  /** Mean F1 of tokens, 1 for the lack of a span where there is none. */
  readonly f1: number;
}

/** Longest span, in tokens, as in BERT's own SQuAD script. */
const LONGEST = 30;

export function spanReport(outcomes: readonly Outcome[]): SpanReport {
  const pairs = outcomes.map((outcome) => [outcome.expected as [number, number], bestSpan(outcome)] as const);
  const mean = (of: (expected: readonly [number, number], given: readonly [number, number]) => number): number =>
    pairs.reduce((sum, [expected, given]) => sum + of(expected, given), 0) / Math.max(1, pairs.length);
  return {
    windows: outcomes.length,
    exact: mean(([s, e], [start, end]) => (s === start && e === end ? 1 : 0)),
    f1: mean(overlap),
  };
}

/**
 * The best start and end in the second text of a window, or 0, 0: no answer. A window with a single token type has only
 * one text.
 */
function bestSpan({ scores, types = [] }: Outcome): [start: number, end: number] {
  const last = scores.length - 1;
  const second = types.includes(1);
  let [best, span] = [scores[0]![0]! + scores[0]![1]!, [0, 0] as [number, number]];
  for (let start = 1; start < last; start++) {
    if (second && types[start] !== 1) continue;
    for (let end = start; end < Math.min(last, start + LONGEST); end++) {
      const score = scores[start]![0]! + scores[end]![1]!;
      if (score > best) [best, span] = [score, [start, end]];
    }
  }
  return span;
}

function overlap([s, e]: readonly [number, number], [start, end]: readonly [number, number]): number {
  if (e === 0 || end === 0) return e === end ? 1 : 0;
  const same = Math.min(e, end) - Math.max(s, start) + 1;
  return same <= 0 ? 0 : (2 * same) / (e - s + 1 + (end - start + 1));
}
