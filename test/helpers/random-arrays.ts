import { RandomStream } from "../../src/util/random.js";

/** Random test data, reproducible from a seed. */
export class RandomArrays {
  readonly #stream: RandomStream;

  constructor(seed: number) {
    this.#stream = new RandomStream(seed);
  }

  /** Normal with this mean and deviation, rounded to single precision so that every backend can hold it exactly. */
  floats(length: number, deviation = 1, mean = 0): Float32Array {
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = mean + deviation * this.#stream.normal();
    return values;
  }

  doubles(length: number, deviation = 1, mean = 0): Float64Array {
    const values = new Float64Array(length);
    for (let i = 0; i < length; i++) values[i] = mean + deviation * this.#stream.normal();
    return values;
  }

  /** Uniform integers in [0, below). */
  integers(length: number, below: number): Int32Array {
    const values = new Int32Array(length);
    for (let i = 0; i < length; i++) values[i] = this.#stream.below(below);
    return values;
  }

  /** `length` different integers in [0, below), in random order. */
  distinct(length: number, below: number): Int32Array {
    const all = Array.from({ length: below }, (_, i) => i);
    for (let i = 0; i < length; i++) {
      const j = i + this.#stream.below(below - i);
      [all[i], all[j]] = [all[j]!, all[i]!];
    }
    return Int32Array.from(all.slice(0, length));
  }
}
