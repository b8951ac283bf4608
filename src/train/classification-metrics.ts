/** The quality of a classifier on labelled texts. */
export interface ClassificationReport {
  readonly texts: number;
  /** Share of texts with the right label. */
  readonly accuracy: number;
  /** Mean F1 over labels that some text has or was given. */
  readonly macroF1: number;
  readonly labels: readonly LabelReport[];
}

export interface LabelReport {
  readonly label: string;
  /** Share of the texts given this label that have it; 0 if there are none. */
  readonly precision: number;
  /** Share of the texts with this label that were given it; 0 if there are none. */
  readonly recall: number;
  /** Harmonic mean of precision and recall; 0 if both are 0. */
  readonly f1: number;
  /** Number of texts with this label. */
  readonly texts: number;
}

export interface RegressionReport {
  readonly texts: number;
  readonly meanSquaredError: number;
  readonly meanAbsoluteError: number;
}

/**
 * Accuracy, and precision, recall and F1 by label, as in scikit-learn's `classification_report`.
 *
 * @param pairs numbers of the labels: the right one, and the one given
 */
export function classificationReport(
  labels: readonly string[],
  pairs: readonly (readonly [expected: number, given: number])[],
): ClassificationReport {
  const counts = labels.map(() => ({ right: 0, given: 0, expected: 0 }));
  for (const [expected, given] of pairs) {
    counts[expected]!.expected++;
    counts[given]!.given++;
    if (expected === given) counts[given]!.right++;
  }
  const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
  const reports = counts.map(({ right, given, expected }, i): LabelReport => {
    const f1 = share(2 * right, given + expected);
    return { label: labels[i]!, precision: share(right, given), recall: share(right, expected), f1, texts: expected };
  });
  const seen = reports.filter((_, i) => counts[i]!.given + counts[i]!.expected > 0);
  const right = counts.reduce((sum, count) => sum + count.right, 0);
  return {
    texts: pairs.length,
    accuracy: share(right, pairs.length),
    macroF1: share(
      seen.reduce((sum, { f1 }) => sum + f1, 0),
      seen.length,
    ),
    labels: reports,
  };
}

export function regressionReport(pairs: readonly (readonly [expected: number, given: number])[]): RegressionReport {
  const mean = (of: (difference: number) => number): number =>
    pairs.reduce((sum, [expected, given]) => sum + of(given - expected), 0) / Math.max(1, pairs.length);
  return { texts: pairs.length, meanSquaredError: mean((x) => x * x), meanAbsoluteError: mean(Math.abs) };
}

/** Index of the largest value, the first among equals. */
export function largestIndex(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
