import type { WatermarkScheme } from "../../generate/watermark/options.js";

/** The evidence in one token of a marked text, in standard deviations of that of an unmarked one: mean and deviation. */
interface Effect {
  readonly mean: number;
  readonly deviation: number;
}

/** As measured on texts of the default model with its default sampling and each scheme's defaults: docs/watermark.md. */
const EFFECTS: Readonly<Record<WatermarkScheme, Effect>> = {
  gumbel: { mean: 1.13, deviation: 1.5 },
  "dual-key-gumbel": { mean: 1.1, deviation: 1.5 },
  "red-green": { mean: 0.53, deviation: 1.15 },
  synthid: { mean: 0.83, deviation: 1.2 },
  "hf-kgw": { mean: 0.53, deviation: 1.15 },
  "hf-synthid": { mean: 0.83, deviation: 1.2 },
};

/** The probability that so many scored tokens of a marked text are found to be marked. */
export function powerAt(scheme: WatermarkScheme, scored: number, falsePositiveRate: number): number {
  const { mean, deviation } = EFFECTS[scheme];
  return normalCdf((mean * Math.sqrt(scored) - normalQuantile(1 - falsePositiveRate)) / deviation);
}

/** The least number of scored tokens at which a marked text is found with this probability. */
export function tokensFor(scheme: WatermarkScheme, power: number, falsePositiveRate: number): number {
  const { mean, deviation } = EFFECTS[scheme];
  const root = (normalQuantile(1 - falsePositiveRate) + deviation * normalQuantile(power)) / mean;
  return Math.ceil(Math.max(0, root) ** 2);
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
