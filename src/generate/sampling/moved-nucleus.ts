import { BLOCK, type RowSummary, weightOf } from "./row-summary.js";

type Row = Float32Array | Float64Array;

/** A row of scores, few of which differ from the summarized logits. */
export interface ChangedRow {
  readonly logits: Row;
  readonly scores: Row;
  /** The ids that may differ, each once. */
  readonly changed: Iterable<number>;
  /** The largest score of each block. */
  readonly tops: Row;
  /** The summary of the logits, with the nucleus's share. */
  readonly summary: RowSummary;
  /** The largest score. */
  readonly max: number;
  /** The score whose weight is 1. */
  readonly base: number;
  readonly scale: number;
}

/** Width of the first range of scores searched, in units of log-probability. */
const FIRST_STEP = 1 / 64;
/** Each further range is so many times as wide: a pass over the row costs more than the tokens of a wider range. */
const GROWTH = 4;
/** Minimum share of the probability that must remain, so that rounding in the sums does not matter. */
const LEAST_LEFT = 1 / 16;

/**
 * The nucleus of changed scores. Naively: weigh all tokens and find the nucleus of the whole row. Here it is found from
 * the nucleus of the logits. The changed tokens change the probability of that nucleus by some amount; the bar then
 * moves until it has passed tokens of that amount, so only tokens near the bar are weighed.
 *
 * @param share the probability that the nucleus reaches
 * @param sums receives the weights of each block that are in the nucleus
 * @returns the least score kept and the sum of all weights, or undefined if so little of the probability is left that
 * the whole row must be weighed
 */
export function movedNucleus(
  row: ChangedRow,
  share: number,
  sums: Float64Array,
): { bar: number; total: number } | undefined {
  const { logits, scores, summary, base, scale } = row;
  let mass = 0;
  for (let b = 0; b < sums.length; b++) mass += sums[b] = summary.sums[b]!;
  let { total } = summary;
  for (const id of row.changed) {
    const [before, after] = [weightOf(logits[id]!, base, scale), weightOf(scores[id]!, base, scale)];
    const kept = (scores[id]! >= summary.bar ? after : 0) - (logits[id]! >= summary.bar ? before : 0);
    total += after - before;
    mass += kept;
    sums[(id / BLOCK) | 0]! += kept;
  }
  if (!(total > LEAST_LEFT * summary.total)) return undefined;
  const bar = mass < share * total ? lowered(row, mass, share * total, sums) : raised(row, mass, share * total, sums);
  for (let b = 0; b < sums.length; b++) {
    // Rounding never makes a block with tokens look empty, or an empty one look full.
    if (!(row.tops[b]! >= bar)) sums[b] = 0;
    else sums[b] = Math.max(sums[b]!, weightOf(row.tops[b]!, base, scale));
  }
  return { bar, total };
}

/** The bar that a larger nucleus reaches down to. */
function lowered(row: ChangedRow, mass: number, wanted: number, sums: Float64Array): number {
  let bar = row.summary.bar;
  for (let step = FIRST_STEP / row.scale; ; step *= GROWTH) {
    const low = Math.max(bar - step, -Number.MAX_VALUE);
    const found = within(row, low, bar);
    const weight = found.reduce((sum, { weight }) => sum + weight, 0);
    if (mass + weight < wanted && low > -Number.MAX_VALUE) {
      for (const token of found) sums[(token.id / BLOCK) | 0]! += token.weight;
      mass += weight;
      bar = low;
      continue;
    }
    found.sort((a, b) => b.score - a.score);
    for (let i = 0; i < found.length; i++) {
      const { id, score, weight } = found[i]!;
      // Equal scores are kept or dropped together.
      if (mass >= wanted && score < bar) break;
      sums[(id / BLOCK) | 0]! += weight;
      mass += weight;
      bar = score;
    }
    return bar;
  }
}

/** The bar of a smaller nucleus. */
function raised(row: ChangedRow, mass: number, wanted: number, sums: Float64Array): number {
  let bar = row.summary.bar;
  for (let step = FIRST_STEP / row.scale; ; step *= GROWTH) {
    const high = bar + step;
    const found = within(row, bar, high);
    const weight = found.reduce((sum, { weight }) => sum + weight, 0);
    if (mass - weight >= wanted && high <= row.max) {
      for (const token of found) sums[(token.id / BLOCK) | 0]! -= token.weight;
      mass -= weight;
      bar = high;
      continue;
    }
    found.sort((a, b) => a.score - b.score);
    for (let i = 0; i < found.length; ) {
      const { score } = found[i]!;
      let end = i;
      let equals = 0;
      for (; end < found.length && found[end]!.score === score; end++) equals += found[end]!.weight;
      if (mass - equals < wanted || score === row.max) return score;
      for (; i < end; i++) sums[(found[i]!.id / BLOCK) | 0]! -= found[i]!.weight;
      mass -= equals;
    }
    return row.max;
  }
}

interface Token {
  readonly id: number;
  readonly score: number;
  readonly weight: number;
}

/** The tokens with scores from `low` to below `high`. */
function within({ scores, tops, base, scale }: ChangedRow, low: number, high: number): Token[] {
  const found: Token[] = [];
  for (let b = 0; b < tops.length; b++) {
    if (!(tops[b]! >= low)) continue;
    const end = Math.min(scores.length, (b + 1) * BLOCK);
    for (let id = b * BLOCK; id < end; id++) {
      const score = scores[id]!;
      if (score >= low && score < high) found.push({ id, score, weight: weightOf(score, base, scale) });
    }
  }
  return found;
}
