import { expOfNegative } from "../exp.js";
import type { Nucleus } from "../nucleus.js";

type Row = Float32Array | Float64Array;

/** Number of ids in a block of a summary, the same as in the operation `summariseRows`. */
export const BLOCK = 64;

/** Settings of a summary: see the operation `summariseRows`. */
export interface SummarySettings {
  /** The first id that does not count. */
  readonly limit: number;
  /** 1 / temperature; 0 for tops only. */
  readonly scale: number;
  /** Top-p: the probability that the kept tokens reach together; 1 keeps all. */
  readonly share: number;
  /** Min-p, as a distance: kept logits lie at most this far below the largest. */
  readonly floor: number;
}

/** The parts of a row of logits that sampling reads, in blocks of {@link BLOCK} ids. */
export interface RowSummary {
  /** The largest logit of each block, ∞ if one is NaN. */
  readonly tops: Row;
  /** The sum of each block's kept weights, exp(scale · (logit - largest)). */
  readonly sums: Row;
  /** The least logit kept. */
  readonly bar: number;
  /** The sum of all weights, kept or not. */
  readonly total: number;
}

/** A {@link SummarySettings.floor} below everything. */
export const NO_FLOOR = -1e38;

/** Settings of a row that needs only its tops. */
export const topsOnly = (limit: number): SummarySettings => ({ limit, scale: 0, share: 1, floor: NO_FLOOR });

export const blocksOf = (limit: number): number => Math.ceil(limit / BLOCK);

/** The largest score of block b; ∞ if one is NaN. */
export function topOfBlock(scores: Row, b: number): number {
  let top = -Infinity;
  const end = Math.min(scores.length, (b + 1) * BLOCK);
  for (let id = b * BLOCK; id < end; id++) {
    const score = scores[id]!;
    if (score > top) top = score;
    else if (Number.isNaN(score)) return Infinity;
  }
  return top;
}

/** The sum of a block's kept weights, relative to a score of `base`. */
export function sumOfBlock(scores: Row, b: number, base: number, scale: number, bar: number): number {
  let sum = 0;
  const end = Math.min(scores.length, (b + 1) * BLOCK);
  for (let id = b * BLOCK; id < end; id++) {
    const score = scores[id]!;
    if (score >= bar) sum += weightOf(score, base, scale);
  }
  return sum;
}

/** exp(scale · (score - base)), also of a score somewhat above the base. */
export function weightOf(score: number, base: number, scale: number): number {
  const x = scale * (score - base);
  return x <= 0 ? expOfNegative(x) : Math.exp(x);
}

/**
 * The least score of the nucleus: the likeliest tokens, equals together, that reach `share` of the probability. Adds up the
 * weights of all tokens besides.
 */
export function nucleusOf(
  scores: Row,
  largest: number,
  scale: number,
  share: number,
  { weights, nucleus }: { readonly weights: Float64Array; readonly nucleus: Nucleus },
): { readonly bar: number; readonly total: number } {
  let total = 0;
  for (let id = 0; id < scores.length; id++) {
    const weight = expOfNegative(scale * (scores[id]! - largest));
    weights[id] = weight;
    total += weight;
  }
  return { bar: nucleus.bar(scores, weights, largest, scale, share * total), total };
}
