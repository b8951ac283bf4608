import type { PairCounts } from "./pair-counts.js";

/**
 * A priority queue of pairs: the most frequent first, then the smaller left id, then the smaller right id. A binary heap
 * whose entries keep the count with which they were pushed; since counts may fall later, an outdated entry is pushed back with its
 * current count when it comes up.
 */
export class PairQueue {
  readonly #pairs: PairCounts;
  #items = new Int32Array(1 << 12);
  #keys = new Float64Array(1 << 12);
  #size = 0;

  constructor(pairs: PairCounts) {
    this.#pairs = pairs;
  }

  push(pair: number): void {
    if (this.#size === this.#items.length) this.#grow();
    const key = this.#pairs.counts[pair]!;
    let i = this.#size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(pair, key, parent)) break;
      this.#items[i] = this.#items[parent]!;
      this.#keys[i] = this.#keys[parent]!;
      i = parent;
    }
    this.#items[i] = pair;
    this.#keys[i] = key;
  }

  /** Removes and returns the first pair; -1 if no pair that still occurs is left. */
  pop(): number {
    while (this.#size > 0) {
      const pair = this.#items[0]!;
      const key = this.#keys[0]!;
      this.#removeFirst();
      const count = this.#pairs.counts[pair]!;
      if (count === key) return pair;
      if (count > 0) this.push(pair);
    }
    return -1;
  }

  #removeFirst(): void {
    const size = --this.#size;
    const pair = this.#items[size]!;
    const key = this.#keys[size]!;
    let i = 0;
    for (let child = 1; child < size; child = 2 * i + 1) {
      if (child + 1 < size && this.#before(this.#items[child + 1]!, this.#keys[child + 1]!, child)) child++;
      if (this.#before(pair, key, child)) break;
      this.#items[i] = this.#items[child]!;
      this.#keys[i] = this.#keys[child]!;
      i = child;
    }
    this.#items[i] = pair;
    this.#keys[i] = key;
  }

  /** Whether `pair` under `key` comes before the entry at `at`. */
  #before(pair: number, key: number, at: number): boolean {
    const otherKey = this.#keys[at]!;
    if (key !== otherKey) return key > otherKey;
    const { left, right } = this.#pairs;
    const other = this.#items[at]!;
    if (left[pair] !== left[other]) return left[pair]! < left[other]!;
    return right[pair]! < right[other]!;
  }

  #grow(): void {
    const items = new Int32Array(2 * this.#size);
    const keys = new Float64Array(2 * this.#size);
    items.set(this.#items);
    keys.set(this.#keys);
    this.#items = items;
    this.#keys = keys;
  }
}
