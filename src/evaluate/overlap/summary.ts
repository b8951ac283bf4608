import { quantile } from "../metrics/bootstrap.js";
import { type ItemOverlap, overlapShare } from "./overlap-meter.js";

/** What of a set of texts is in the training text. */
export interface OverlapSummary {
  readonly items: number;
  readonly ngrams: number;
  readonly found: number;
  /** found / ngrams: the paper's figure for a set. */
  readonly overlap: number;
  /** Items with at least one n-gram that was found. */
  readonly overlapping: number;
  /** Of each item's own share: mean, quantiles, largest. Items too short for an n-gram have none. NaN without any. */
  readonly mean: number;
  readonly quantiles: Quantiles;
  readonly largest: number;
}

export interface Quantiles {
  readonly p10: number;
  readonly p25: number;
  readonly p50: number;
  readonly p75: number;
  readonly p90: number;
}

/** What the items' overlaps come to. */
export function summarizeOverlap(items: readonly ItemOverlap[]): OverlapSummary {
  const sum = (value: (item: ItemOverlap) => number) => items.reduce((total, item) => total + value(item), 0);
  const [ngrams, found] = [sum((item) => item.ngrams), sum((item) => item.found)];
  const shares = Float64Array.from(items.filter((item) => item.ngrams > 0).map(overlapShare)).sort();
  const at = (q: number) => (shares.length === 0 ? Number.NaN : quantile(shares, q));
  return {
    items: items.length,
    ngrams,
    found,
    overlap: found / ngrams,
    overlapping: sum((item) => (item.found > 0 ? 1 : 0)),
    mean: shares.reduce((total, share) => total + share, 0) / shares.length,
    quantiles: { p10: at(0.1), p25: at(0.25), p50: at(0.5), p75: at(0.75), p90: at(0.9) },
    largest: shares.at(-1) ?? Number.NaN,
  };
}
