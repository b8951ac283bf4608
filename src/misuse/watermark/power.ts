import type { WatermarkScheme } from "../../generate/watermark/options.js";
import { STRENGTHS } from "./strengths.js";

/**
 * The strength of a mark in texts. The score of n scored tokens, in standard deviations of an unmarked text's score, is normal
 * with mean `mean · √n` and standard deviation √(deviation² + spread² · n), because texts differ in entropy.
 */
export interface Strength {
  readonly mean: number;
  readonly deviation: number;
  readonly spread: number;
}

/** The probability that the mark is found in a marked text with so many scored tokens. */
export const powerAt = (scheme: WatermarkScheme, scored: number, falsePositiveRate: number): number =>
  powerOf(STRENGTHS[scheme], scored, falsePositiveRate);

/** {@link powerAt} for a mark of a given strength. */
export function powerOf({ mean, deviation, spread }: Strength, scored: number, falsePositiveRate: number): number {
  const excess = mean * Math.sqrt(scored) - normalQuantile(1 - falsePositiveRate);
  return normalCdf(excess / Math.sqrt(deviation ** 2 + spread ** 2 * scored));
}

/** The least number of scored tokens at which a mark is found with this probability; Infinity if there is none. */
export function tokensFor(scheme: WatermarkScheme, power: number, falsePositiveRate: number): number {
  const enough = (scored: number) => powerAt(scheme, scored, falsePositiveRate) >= power;
  let high = 1;
  while (!enough(high)) if ((high *= 2) > 2 ** 40) return Number.POSITIVE_INFINITY;
  let low = high >> 1;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (enough(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** The standard normal distribution function (Abramowitz & Stegun 7.1.26), to about 1e-7. */
function normalCdf(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * z);
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const upper = 0.5 * series * Math.exp(-z * z);
  return x < 0 ? upper : 1 - upper;
}

function normalQuantile(p: number): number {
  let [low, high] = [-9, 9];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
