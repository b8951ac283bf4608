import { UsageError } from "../errors.js";

/** Number of insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(substitution, last[j]! + 1, row[j - 1]! + 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, beforeLast[j - 2]! + 1);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length]!;
}

/** The candidate that a mistyped word most likely stands for; undefined if none is near. Ignores case. */
export function nearest(
  word: string,
  candidates: readonly string[],
  most = Math.max(1, word.length / 3),
): string | undefined {
  const distances = candidates.map((candidate) => editDistance(word.toLowerCase(), candidate.toLowerCase()));
  const least = Math.min(...distances);
  return least <= most ? candidates[distances.indexOf(least)] : undefined;
}

/** Whether a name begins with nearly all of a word: `document` for `doc`, `normalization` for `normalize`. */
function sharesStem(word: string, name: string): boolean {
  const stem = word.slice(0, Math.max(3, Math.ceil(0.75 * word.length))).toLowerCase();
  return word.length >= 3 && name.toLowerCase().startsWith(stem);
}

/** Every option of `T`, so that the compiler reports a missing one. */
export type OptionNames<T> = Readonly<Record<keyof Required<T>, unknown>>;

/**
 * Refuses unknown options, which would otherwise be ignored silently: `maxTokens` for `maxNewTokens`.
 *
 * @throws {UsageError} naming the nearest option, or all options.
 */
export function checkOptionNames<T extends object>(op: string, options: T, names: OptionNames<T>): void {
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(names, key)) continue;
    const known = Object.keys(names);
    const near = known.find((name) => sharesStem(key, name)) ?? nearest(key, known, Math.max(2, key.length / 2));
    const hint = near === undefined ? `Options: ${known.join(", ")}` : `Did you mean ${near}?`;
    throw new UsageError({ op, expected: "options that exist", got: key, hint });
  }
}
