import { largest } from "./largest.js";
import { largestOf } from "./log-sum-exp.js";

/** Width of the buckets of scores, in units of log-probability. The last bucket is open-ended. */
const WIDTH = 1 / 16;
const BUCKETS = 1024;

/**
 * The nucleus of a distribution (Holtzman et al. 2019): the fewest tokens, likeliest first, that together reach a given
 * probability; the lower id first among equals. Naively: sort all tokens and add up. Sorting into buckets instead finds all
 * of them but those in the last bucket in one pass.
 */
export class Nucleus {
  readonly #mass = new Float64Array(BUCKETS);
  readonly #edgeIds: Int32Array;
  readonly #edgeScores: Float64Array;
  readonly #order: Int32Array;

  /** @param vocabulary most tokens of a distribution */
  constructor(vocabulary: number) {
    this.#edgeIds = new Int32Array(vocabulary);
    this.#edgeScores = new Float64Array(vocabulary);
    this.#order = new Int32Array(vocabulary);
  }

  /**
   * Writes the nucleus into ids[0 … count), in no order, and returns the count, at least 1.
   *
   * @param weights exp((score - largest score) / temperature), by id.
   */
  select(
    scores: Float32Array | Float64Array,
    weights: Float64Array,
    temperature: number,
    share: number,
    ids: Int32Array,
  ): number {
    const max = largestOf(scores);
    const scale = 1 / (WIDTH * temperature);
    const bucketOf = (id: number): number => Math.min(BUCKETS - 1, (max - scores[id]!) * scale) | 0;
    const wanted = share * this.#weigh(scores.length, weights, bucketOf);
    const mass = this.#mass;
    let edge = 0;
    let sum = 0;
    while (edge < BUCKETS - 1 && sum + mass[edge]! < wanted) sum += mass[edge++]!;

    let count = 0;
    let edgeCount = 0;
    for (let id = 0; id < scores.length; id++) {
      const bucket = bucketOf(id);
      if (bucket < edge) ids[count++] = id;
      else if (bucket === edge) this.#edgeIds[edgeCount++] = id;
    }
    return this.#addEdge({ scores, weights, ids, count, edgeCount, missing: wanted - sum });
  }

  /** Sums the weights of each bucket. Returns the total. */
  #weigh(size: number, weights: Float64Array, bucketOf: (id: number) => number): number {
    const mass = this.#mass.fill(0);
    for (let id = 0; id < size; id++) mass[bucketOf(id)]! += weights[id]!;
    return mass.reduce((sum, x) => sum + x, 0);
  }

  /** Adds tokens of the last bucket, likeliest first, until their weights reach what is missing. */
  #addEdge({ scores, weights, ids, count, edgeCount, missing }: Edge): number {
    for (let i = 0; i < edgeCount; i++) this.#edgeScores[i] = scores[this.#edgeIds[i]!]!;
    largest(this.#edgeScores.subarray(0, edgeCount), edgeCount, this.#order);
    for (let i = 0; i < edgeCount; i++) {
      const id = this.#edgeIds[this.#order[i]!]!;
      ids[count++] = id;
      missing -= weights[id]!;
      if (missing <= 0) break;
    }
    return count;
  }
}

interface Edge {
  readonly scores: Float32Array | Float64Array;
  readonly weights: Float64Array;
  readonly ids: Int32Array;
  count: number;
  readonly edgeCount: number;
  missing: number;
}
