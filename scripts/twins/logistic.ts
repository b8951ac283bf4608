/**
 * Multinomial logistic regression on standardized features, by gradient descent with momentum on the mean cross-entropy
 * plus `decay` times half the squared weights.
 */
export class LogisticRegression {
  readonly #mean: Float64Array;
  readonly #scale: Float64Array;
  /** [labels, features + 1] the last column is the bias. */
  readonly #weights: Float64Array[];

  constructor(vectors: readonly ArrayLike<number>[], labels: readonly number[], classes: number, decay: number) {
    const C = vectors[0]!.length;
    this.#mean = new Float64Array(C);
    this.#scale = new Float64Array(C);
    for (const v of vectors) for (let i = 0; i < C; i++) this.#mean[i]! += v[i]! / vectors.length;
    for (const v of vectors) {
      for (let i = 0; i < C; i++) this.#scale[i]! += (v[i]! - this.#mean[i]!) ** 2 / vectors.length;
    }
    for (let i = 0; i < C; i++) this.#scale[i] = 1 / Math.sqrt(this.#scale[i]! + 1e-12);
    this.#weights = Array.from({ length: classes }, () => new Float64Array(C + 1));
    this.#fit(
      vectors.map((v) => this.#features(v)),
      labels,
      decay,
    );
  }

  /** The most probable label. */
  predict(vector: ArrayLike<number>): number {
    const scores = this.#scores(this.#features(vector));
    return scores.indexOf(Math.max(...scores));
  }

  #features(vector: ArrayLike<number>): Float64Array {
    const C = vector.length;
    const row = new Float64Array(C + 1).fill(1);
    for (let i = 0; i < C; i++) row[i] = (vector[i]! - this.#mean[i]!) * this.#scale[i]!;
    return row;
  }

  #scores(row: Float64Array): number[] {
    return this.#weights.map((w) => {
      let sum = 0;
      for (let i = 0; i < row.length; i++) sum += w[i]! * row[i]!;
      return sum;
    });
  }

  #fit(rows: readonly Float64Array[], labels: readonly number[], decay: number): void {
    const [STEPS, RATE, MOMENTUM] = [300, 0.05, 0.9];
    const velocity = this.#weights.map((w) => new Float64Array(w.length));
    for (let step = 0; step < STEPS; step++) {
      const gradient = this.#weights.map((w) => w.map((x, i) => (i === w.length - 1 ? 0 : decay * x)));
      for (const [n, row] of rows.entries()) {
        const scores = this.#scores(row);
        const most = Math.max(...scores);
        const odds = scores.map((score) => Math.exp(score - most));
        const sum = odds.reduce((a, b) => a + b, 0);
        for (const [k, g] of gradient.entries()) {
          const error = (odds[k]! / sum - Number(k === labels[n])) / rows.length;
          for (let i = 0; i < row.length; i++) g[i]! += error * row[i]!;
        }
      }
      for (const [k, w] of this.#weights.entries()) {
        const [v, g] = [velocity[k]!, gradient[k]!];
        for (let i = 0; i < w.length; i++) w[i]! += v[i] = MOMENTUM * v[i]! - RATE * g[i]!;
      }
    }
  }
}
