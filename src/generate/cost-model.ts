/** Weight of a run after each later one: some fifty count. */
const MEMORY = 0.98;
/** Uncertainty of the coefficients before the first run. */
const PRIOR = 1e3;

/** The size of a run. */
export interface RunSize {
  readonly tokens: number;
  /** Cached keys that its tokens read, in all. */
  readonly keys: number;
  /** Rows of logits. */
  readonly rows: number;
}

/**
 * Predicts how long a run takes from its size: milliseconds = a + b · tokens + c · thousands of keys + d · rows. Naively the
 * coefficients are refitted by least squares over all runs so far, older ones weighing less. Recursive least squares with a
 * forgetting factor gives the same fit by an update of a 4 x 4 matrix after each run. No coefficient falls below 0, so
 * that runs of one size do not teach that larger ones are faster.
 */
export class CostModel {
  #theta = [1, 0.2, 0.02, 0.1];
  #covariance: number[][] = this.#theta.map((_, i) => this.#theta.map((_, j) => (i === j ? PRIOR : 0)));
  #runs = 0;

  /** Number of runs observed. */
  get runs(): number {
    return this.#runs;
  }

  /** Learns from a run. */
  observe(size: RunSize, milliseconds: number): void {
    const x = features(size);
    const px = this.#covariance.map((row) => dot(row, x));
    const scale = MEMORY + dot(x, px);
    const gain = px.map((v) => v / scale);
    const error = milliseconds - dot(this.#theta, x);
    this.#theta = this.#theta.map((t, i) => Math.max(0, t + gain[i]! * error));
    // Bounded, so that directions that no run explores do not grow forever.
    this.#covariance = this.#covariance.map((row, i) =>
      row.map((v, j) => Math.min(PRIOR, (v - gain[i]! * px[j]!) / MEMORY)),
    );
    this.#runs++;
  }

  /** Milliseconds that a run is expected to take. */
  estimate(size: RunSize): number {
    return dot(this.#theta, features(size));
  }
}

const features = ({ tokens, keys, rows }: RunSize): number[] => [1, tokens, keys / 1000, rows];
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
