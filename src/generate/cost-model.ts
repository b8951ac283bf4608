/** Forgetting factor: about the last fifty runs count. */
const MEMORY = 0.98;
/** Variance of the coefficients before the first run. */
const PRIOR = 1e3;

/**
 * Predicts the duration of a run from its size, by least squares over the runs so far, weighted towards recent ones:
 * milliseconds = a + b · tokens + c · keys read, in thousands. Recursive least squares with a forgetting factor.
 */
export class CostModel {
  #theta = [1, 0.2, 0.02];
  #covariance = [
    [PRIOR, 0, 0],
    [0, PRIOR, 0],
    [0, 0, PRIOR],
  ];
  #runs = 0;

  /** Runs observed. */
  get runs(): number {
    return this.#runs;
  }

  /** Learns from a run. @param keys total number of cached keys that its tokens read */
  observe(tokens: number, keys: number, milliseconds: number): void {
    const x = [1, tokens, keys / 1000];
    const px = this.#covariance.map((row) => dot(row, x));
    const scale = MEMORY + dot(x, px);
    const gain = px.map((v) => v / scale);
    const error = milliseconds - dot(this.#theta, x);
    this.#theta = this.#theta.map((t, i) => t + gain[i]! * error);
    // Bounded: the variance would grow forever in directions that no run explores.
    this.#covariance = this.#covariance.map((row, i) =>
      row.map((v, j) => Math.min(PRIOR, (v - gain[i]! * px[j]!) / MEMORY)),
    );
    this.#runs++;
  }

  /** Predicted milliseconds of a run. */
  estimate(tokens: number, keys: number): number {
    return Math.max(0, dot(this.#theta, [1, tokens, keys / 1000]));
  }
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
