/** Width of the buckets of scores, in units of log-probability. The last bucket is open-ended. */
const WIDTH = 1 / 16;
const BUCKETS = 1024;

/**
 * The nucleus of a distribution (Holtzman et al. 2019): the fewest tokens, likeliest first, that together reach a given
 * probability. Naively: sort all tokens and add up. Sorting into buckets instead finds all of them but those in the last
 * bucket in one pass.
 */
export class Nucleus {
  readonly #mass = new Float64Array(BUCKETS);
  readonly #edge: Float64Array;

  /** @param vocabulary most tokens of a distribution */
  constructor(vocabulary: number) {
    this.#edge = new Float64Array(vocabulary);
  }

  /**
   * The score of the last token of the nucleus, which may have equals.
   *
   * @param weights exp(scale · (score - largest)), by id.
   * @param wanted the sum of weights to reach
   */
  bar(
    scores: Float32Array | Float64Array,
    weights: Float64Array,
    largest: number,
    scale: number,
    wanted: number,
  ): number {
    const mass = this.#mass.fill(0);
    const perBucket = scale / WIDTH;
    const size = scores.length;
    for (let id = 0; id < size; id++) {
      mass[Math.min(BUCKETS - 1, (largest - scores[id]!) * perBucket) | 0]! += weights[id]!;
    }
    let edge = 0;
    let sum = 0;
    while (edge < BUCKETS - 1 && sum + mass[edge]! < wanted) sum += mass[edge++]!;
    let count = 0;
    for (let id = 0; id < size; id++) {
      if ((Math.min(BUCKETS - 1, (largest - scores[id]!) * perBucket) | 0) === edge) this.#edge[count++] = scores[id]!;
    }
    return this.#barWithin(count, largest, scale, wanted - sum);
  }

  /** The bar among the first `count` scores of the last bucket, of whose weights so much is missing. */
  #barWithin(count: number, largest: number, scale: number, missing: number): number {
    const sorted = this.#edge.subarray(0, count).sort();
    let left = missing;
    for (let i = count - 1; i > 0; i--) {
      left -= Math.exp(scale * (sorted[i]! - largest));
      if (left <= 0) return sorted[i]!;
    }
    return sorted[0] ?? largest;
  }
}
