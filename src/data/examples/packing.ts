import { deriveKey } from "../../util/random.js";
import { Permutation } from "../epoch-order.js";
import type { Placement, TrainingOrder, ValidationOrder } from "./examples.js";

/**
 * Packs examples into passes of N positions. Examples form an endless sequence, with a new permutation for each epoch. A pass takes
 * them in order as long as they fit as a whole, so positions at its end may stay empty. Attention is limited to each example,
 * so examples may cross the rows of a pass.
 * Everything is a function of (seed, pass): the examples of a pass are found by walking there from the start, once.
 */
export class Packing implements TrainingOrder, ValidationOrder {
  readonly #lengths: readonly number[];
  readonly #slots: number;
  readonly #seed: number | undefined;
  /** Sequence number of the first example of each pass so far. */
  readonly #firsts: number[] = [0];
  #epoch = -1;
  #permutation: Permutation | undefined;

  /**
   * @param lengths lengths of the examples, at least one, none above `slots`
   * @param seed seed of the order; without one, the examples are taken once, unshuffled
   */
  constructor(lengths: readonly number[], slots: number, seed?: number) {
    this.#lengths = lengths;
    this.#slots = slots;
    this.#seed = seed;
  }

  pass(pass: number): Placement[] {
    const first = this.#firstOf(pass);
    const end = this.#firstOf(pass + 1);
    let at = 0;
    return Array.from({ length: end - first }, (_, i) => {
      const example = this.#example(first + i);
      const place = { example, at };
      at += this.#lengths[example]!;
      return place;
    });
  }

  get passes(): number {
    return this.passesFor(1);
  }

  stepsFor(epochs: number, passesPerStep: number): number {
    return Math.max(1, Math.ceil(this.passesFor(epochs) / passesPerStep));
  }

  /** Number of passes for so many epochs. */
  passesFor(epochs: number): number {
    const examples = Math.ceil(epochs * this.#lengths.length);
    let pass = 0;
    while (this.#firstOf(pass) < examples) pass++;
    return pass;
  }

  epochsAfter(passes: number): number {
    return this.#firstOf(passes) / this.#lengths.length;
  }

  #firstOf(pass: number): number {
    while (this.#firsts.length <= pass) {
      let next = this.#firsts.at(-1)!;
      let room = this.#slots;
      while (this.#has(next)) {
        room -= this.#lengths[this.#example(next)]!;
        if (room < 0) break;
        next++;
      }
      this.#firsts.push(next);
    }
    return this.#firsts[pass]!;
  }

  #has(i: number): boolean {
    return this.#seed !== undefined || i < this.#lengths.length;
  }

  /** Number i of the sequence. */
  #example(i: number): number {
    if (this.#seed === undefined) return i;
    const n = this.#lengths.length;
    const epoch = Math.floor(i / n);
    if (epoch !== this.#epoch) {
      this.#permutation = new Permutation(n, deriveKey(this.#seed, epoch));
      this.#epoch = epoch;
    }
    return this.#permutation!.at(i - epoch * n);
  }
}
