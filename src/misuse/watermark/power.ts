import type { WatermarkScheme } from "../../generate/watermark/options.js";
import { STRENGTHS } from "./strengths.js";

/**
 * How strong a mark is in texts: of n scored tokens the score is normal, mean · √n deviations of an unmarked text's score
 * above that, with a deviation of √(deviation² + spread² · n), as texts differ in entropy.
 */
export interface Strength {
  readonly mean: number;
  readonly deviation: number;
  readonly spread: number;
}

/** The probability that so many scored tokens of a marked text are found to be marked. */
export const powerAt = (scheme: WatermarkScheme, scored: number, falsePositiveRate: number): number =>
  powerOf(STRENGTHS[scheme], scored, falsePositiveRate);

/** The same of a mark of some strength. */
export function powerOf({ mean, deviation, spread }: Strength, scored: number, falsePositiveRate: number): number {
  const excess = mean * Math.sqrt(scored) - normalQuantile(1 - falsePositiveRate);
  return normalCdf(excess / Math.sqrt(deviation ** 2 + spread ** 2 * scored));
}

/** The least number of scored tokens at which a marked text is found with this probability; Infinity if none is. */
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
