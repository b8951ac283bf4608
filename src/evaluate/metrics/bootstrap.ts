import { RandomStream } from "../../util/random.js";

/** What lies between these has the given probability under resampling. */
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
 * The percentile bootstrap (Efron 1979): the statistic of samples of the same size, drawn from the items with
 * replacement. Same seed, same interval.
 *
 * @param statistic of the items with these indices.
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

/** @param sorted ascending, at least one. Between two values it takes their weighted mean. */
export function quantile(sorted: Float64Array, q: number): number {
  const place = q * (sorted.length - 1);
  const below = Math.floor(place);
  const [a, b] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  return a + (place - below) * (b - a);
}
