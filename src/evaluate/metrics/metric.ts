import { RandomStream } from "../../util/random.js";

/** How values are printed: `percent` prints 0.4599 as 45.99, `number` as is. */
export type MetricScale = "percent" | "number";

export interface MetricBase {
  /** `accuracy`, `perplexity per word`: unique within an evaluation. */
  readonly name: string;
  readonly scale: MetricScale;
  readonly better: "higher" | "lower";
}

/** A function of sums over items: an accuracy, a perplexity, BLEU. */
export interface SumMetric<Outcome> extends MetricBase {
  /** An item's summands; undefined if it does not count. */
  readonly parts: (outcome: Outcome) => readonly number[] | undefined;
  readonly value: (sums: readonly number[]) => number;
}

/** Any other function of the outcomes, such as accuracy on the 1% most confident. */
export interface WholeMetric<Outcome> extends MetricBase {
  readonly of: (outcomes: readonly Outcome[]) => number;
}

export type Metric<Outcome> = SumMetric<Outcome> | WholeMetric<Outcome>;

export interface MetricResult {
  readonly name: string;
  readonly scale: MetricScale;
  readonly better: "higher" | "lower";
  /** NaN without items. */
  readonly value: number;
  /** 95% confidence interval, by bootstrap over the items. */
  readonly interval: Interval;
  /** Items that count. */
  readonly items: number;
}

/** The metric's value and its confidence interval. */
export function measure<Outcome>(
  metric: Metric<Outcome>,
  outcomes: readonly Outcome[],
  options: BootstrapOptions = {},
): MetricResult {
  const { name, scale, better } = metric;
  const [items, statistic] = "of" in metric ? wholeStatistic(metric, outcomes) : sumStatistic(metric, outcomes);
  const all = Int32Array.from({ length: items }, (_, i) => i);
  const value = items === 0 ? Number.NaN : statistic(all);
  const interval = items === 0 ? { low: value, high: value } : bootstrap(items, statistic, options);
  return { name, scale, better, value, interval, items };
}

type Statistic = readonly [items: number, statistic: (indices: Int32Array) => number];

function wholeStatistic<Outcome>({ of }: WholeMetric<Outcome>, outcomes: readonly Outcome[]): Statistic {
  return [outcomes.length, (indices) => of(Array.from(indices, (i) => outcomes[i]!))];
}

function sumStatistic<Outcome>({ parts, value }: SumMetric<Outcome>, outcomes: readonly Outcome[]): Statistic {
  const rows = outcomes.map(parts).filter((row) => row !== undefined);
  const width = rows[0]?.length ?? 0;
  const sums = new Array<number>(width);
  const statistic = (indices: Int32Array) => {
    sums.fill(0);
    for (const i of indices) {
      const row = rows[i]!;
      for (let k = 0; k < width; k++) sums[k]! += row[k]!;
    }
    return value(sums);
  };
  return [rows.length, statistic];
}

/** The mean over items; of a boolean, the share of true. */
export function meanMetric<Outcome>(
  name: string,
  get: (outcome: Outcome) => number | boolean | undefined,
  scale: MetricScale = "percent",
): SumMetric<Outcome> {
  const parts = (outcome: Outcome) => {
    const x = get(outcome);
    return x === undefined ? undefined : [Number(x), 1];
  };
  return { name, scale, better: "higher", parts, value: ([sum = 0, count = 0]) => sum / count };
}

/** exp of the mean loss per unit: word, token, byte. */
export function perplexityMetric<Outcome>(
  name: string,
  logprob: (outcome: Outcome) => number,
  units: (outcome: Outcome) => number,
): SumMetric<Outcome> {
  const parts = (outcome: Outcome) => [logprob(outcome), units(outcome)];
  return { name, scale: "number", better: "lower", parts, value: ([sum = 0, count = 0]) => Math.exp(-sum / count) };
}

/** Mean loss in bits per unit. */
export function bitsMetric<Outcome>(
  name: string,
  logprob: (outcome: Outcome) => number,
  units: (outcome: Outcome) => number,
): SumMetric<Outcome> {
  const parts = (outcome: Outcome) => [logprob(outcome), units(outcome)];
  return { name, scale: "number", better: "lower", parts, value: ([sum = 0, count = 0]) => -sum / count / Math.LN2 };
}

/** A confidence interval. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** Default 1000. */
  readonly resamples?: number;
  /** Default 0.95. */
  readonly confidence?: number;
  /** Default 1. */
  readonly seed?: number;
}

/**
 * The percentile bootstrap (Efron 1979): quantiles of the statistic over samples of the items, drawn with replacement and
 * of the same size. Same seed, same interval.
 *
 * @param statistic of the items at these indices
 */
export function bootstrap(
  items: number,
  statistic: (indices: Int32Array) => number,
  { resamples = 1000, confidence = 0.95, seed = 1 }: BootstrapOptions = {},
): Interval {
  const random = new RandomStream(seed);
  const indices = new Int32Array(items);
  const values = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    for (let i = 0; i < items; i++) indices[i] = random.below(items);
    values[r] = statistic(indices);
  }
  values.sort();
  const tail = (1 - confidence) / 2;
  return { low: quantile(values, tail), high: quantile(values, 1 - tail) };
}

/** Linear interpolation between order statistics. @param sorted ascending, at least one */
export function quantile(sorted: Float64Array, q: number): number {
  const place = q * (sorted.length - 1);
  const below = Math.floor(place);
  const [a, b] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  return a + (place - below) * (b - a);
}
