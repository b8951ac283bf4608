import { RandomStream } from "../../src/util/random.js";

/**
 * Normal numbers from which long arrays are cut at random positions: drawing every number would take longer than the
 * tests.
 */
const POOL_SIZE = 2 ** 18;
let pool: Float64Array | undefined;

function normals(): Float64Array {
  if (pool === undefined) {
    const stream = new RandomStream(20261130);
    pool = Float64Array.from({ length: POOL_SIZE }, () => stream.normal());
  }
  return pool;
}

/** Shorter arrays are drawn number by number. */
const LONG = 2 ** 15;

/** Random test data, reproducible from a seed. */
export class RandomArrays {
  readonly #stream: RandomStream;

  constructor(seed: number) {
    this.#stream = new RandomStream(seed);
  }

  /** Normal with this mean and deviation, rounded to single precision so that every backend can hold it exactly. */
  floats(length: number, deviation = 1, mean = 0): Float32Array {
    return this.#fill(new Float32Array(length), deviation, mean);
  }

  doubles(length: number, deviation = 1, mean = 0): Float64Array {
    return this.#fill(new Float64Array(length), deviation, mean);
  }

  #fill<A extends Float32Array | Float64Array>(values: A, deviation: number, mean: number): A {
    if (values.length < LONG) {
      for (let i = 0; i < values.length; i++) values[i] = mean + deviation * this.#stream.normal();
      return values;
    }
    const numbers = normals();
    const start = this.#stream.below(POOL_SIZE);
    for (let i = 0; i < values.length; i++) values[i] = mean + deviation * numbers[(start + i) % POOL_SIZE]!;
    return values;
  }

  /** Uniform integers in [0, below). */
  integers(length: number, below: number): Int32Array {
    const values = new Int32Array(length);
    for (let i = 0; i < length; i++) values[i] = this.#stream.below(below);
    return values;
  }

  /** `length` distinct integers in [0, below), in random order. */
  distinct(length: number, below: number): Int32Array {
    const all = Array.from({ length: below }, (_, i) => i);
    for (let i = 0; i < length; i++) {
      const j = i + this.#stream.below(below - i);
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return Int32Array.from(all.slice(0, length));
  }
}
