import { wilsonInterval } from "../extract/wilson.js";

/** The rate at which human texts of a calibration set score at least as high as a text. */
export interface FalsePositives {
  /** (k + 1) / (n + 1): for texts like those of the set an upper bound in expectation, even if k is 0. */
  readonly rate: number;
  /** 95% interval of k / n (Wilson). */
  readonly interval: readonly [low: number, high: number];
  /** n: the texts of the set. */
  readonly texts: number;
}

/** Ranks of n scores to keep: the first 100, so that small rates are exact, then each 5% after the previous one. */
export function keptRanks(n: number): number[] {
  const ranks: number[] = [];
  for (let rank = 1; rank < n; rank = Math.max(rank + 1, rank <= 100 ? 0 : Math.floor(1.05 * rank))) ranks.push(rank);
  ranks.push(n);
  return ranks;
}

/** The scores at {@link keptRanks}, largest first. The larger, the more like a model's. */
export function keptScores(scores: readonly number[]): number[] {
  const sorted = [...scores].sort((a, b) => b - a);
  return keptRanks(scores.length).map((rank) => Number(sorted[rank - 1]!.toPrecision(5)));
}

/** Scores of human texts of one size, in tokens or words. */
export interface SizedScores {
  readonly size: number;
  readonly texts: number;
  /** See {@link keptScores}. */
  readonly kept: readonly number[];
}

/**
 * The false-positive rate at a text's score: the larger of the rates at the two sizes around the text's own. A text beyond
 * the largest size is judged by its beginning. Undefined for a text below the smallest size.
 *
 * @param tables by ascending size
 * @param scoreOf the score of the text's first so many tokens or words
 */
export function falsePositivesAt(
  tables: readonly SizedScores[],
  textSize: number,
  scoreOf: (size: number) => number,
): FalsePositives | undefined {
  const [smallest, largest] = [tables[0], tables.at(-1)];
  if (!smallest || !largest || textSize < smallest.size) return undefined;
  const size = Math.min(textSize, largest.size);
  const above = tables.findIndex((table) => table.size >= size);
  const around = tables[above]!.size === size ? [tables[above]!] : [tables[above - 1]!, tables[above]!];
  const value = scoreOf(size);
  return around.map((table) => rateAt(table, value)).reduce((a, b) => (b.rate > a.rate ? b : a));
}

/** The number of scores at least as high; between two kept ranks, the larger. */
function rateAt({ kept, texts }: SizedScores, value: number): FalsePositives {
  const below = kept.findIndex((score) => score < value);
  const k = below < 0 ? texts : keptRanks(texts)[below]! - 1;
  return { rate: (k + 1) / (texts + 1), interval: wilsonInterval(k, texts), texts };
}

/** Whether a table read from a file has the right number of scores for its texts. */
export const isSoundTable = (texts: number, kept: readonly number[]): boolean =>
  texts >= 1 && texts <= 2 ** 31 && kept.length === keptRanks(texts).length;
