import { MergeTable, NO_RANK } from "./pair-table.js";
import type { Vocabulary } from "./vocabulary.js";

/** Up to this many bytes a word is merged by looking for the lowest rank again after every merge, above by a heap. */
const SHORT = 96;

/** Byte-pair encoding of one pre-token: repeatedly merge the adjacent pair of lowest rank, the leftmost of equals. */
export class WordMerger {
  readonly #table: MergeTable;
  readonly #results: Uint32Array;
  readonly #byteIds: Uint32Array;
  readonly #ranks = new Int32Array(SHORT + 1);

  constructor(vocabulary: Vocabulary) {
    this.#table = new MergeTable(vocabulary.merges, vocabulary.results);
    this.#results = vocabulary.results;
    this.#byteIds = vocabulary.byteIds;
  }

  /**
   * Writes the ids of `bytes[start, end)` to `out` from `at`, where room for one id a byte must be; returns how many.
   */
  merge(bytes: Uint8Array, start: number, end: number, out: Uint32Array, at: number): number {
    for (let i = start; i < end; i++) out[at + i - start] = this.#byteIds[bytes[i]!]!;
    const n = end - start;
    return n <= SHORT ? this.#mergeShort(out, at, n) : this.#mergeLong(out, at, n);
  }

  /** Quadratic in n with a small constant. */
  #mergeShort(out: Uint32Array, at: number, length: number): number {
    const table = this.#table;
    const ranks = this.#ranks;
    let n = length;
    for (let i = 0; i < n - 1; i++) ranks[i] = table.rank(out[at + i]!, out[at + i + 1]!);
    while (n > 1) {
      let best = 0;
      let low = ranks[0]!;
      for (let i = 1; i < n - 1; i++) {
        const rank = ranks[i]!;
        if (rank < low) {
          low = rank;
          best = i;
        }
      }
      if (low === NO_RANK) break;
      const id = this.#results[low]!;
      out[at + best] = id;
      n--;
      for (let i = best + 1; i < n; i++) out[at + i] = out[at + i + 1]!;
      for (let i = best + 1; i < n - 1; i++) ranks[i] = ranks[i + 1]!;
      if (best > 0) ranks[best - 1] = table.rank(out[at + best - 1]!, id);
      if (best < n - 1) ranks[best] = table.rank(id, out[at + best + 1]!);
    }
    return n;
  }

  /** n log n: a heap of the pairs that merge, and the symbols as a linked list through `out`. */
  #mergeLong(out: Uint32Array, at: number, n: number): number {
    const table = this.#table;
    const next = new Int32Array(n);
    const prev = new Int32Array(n);
    const rankAt = new Int32Array(n).fill(NO_RANK);
    const heap = new MinHeap();
    const consider = (i: number): void => {
      const j = next[i]!;
      const rank = j < n ? table.rank(out[at + i]!, out[at + j]!) : NO_RANK;
      rankAt[i] = rank;
      if (rank !== NO_RANK) heap.push(rank * 2 ** 32 + i);
    };
    for (let i = 0; i < n; i++) {
      next[i] = i + 1;
      prev[i] = i - 1;
    }
    for (let i = 0; i < n - 1; i++) consider(i);
    while (heap.size > 0) {
      const top = heap.pop();
      const rank = Math.floor(top / 2 ** 32);
      const i = top - rank * 2 ** 32;
      // Entries are not removed when a neighbour's merge changes the pair: they no longer agree with rankAt.
      if (rankAt[i] !== rank) continue;
      const j = next[i]!;
      out[at + i] = this.#results[rank]!;
      rankAt[j] = NO_RANK;
      next[i] = next[j]!;
      if (next[i]! < n) prev[next[i]!] = i;
      consider(i);
      if (prev[i]! >= 0) consider(prev[i]!);
    }
    let count = 0;
    for (let i = 0; i < n; i = next[i]!) out[at + count++] = out[at + i]!;
    return count;
  }
}

/** A binary heap of numbers, least first. */
class MinHeap {
  #items = new Float64Array(256);
  size = 0;

  push(value: number): void {
    if (this.size === this.#items.length) {
      const grown = new Float64Array(2 * this.size);
      grown.set(this.#items);
      this.#items = grown;
    }
    const items = this.#items;
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (items[parent]! <= value) break;
      items[i] = items[parent]!;
      i = parent;
    }
    items[i] = value;
  }

  pop(): number {
    const items = this.#items;
    const top = items[0]!;
    const value = items[--this.size]!;
    let i = 0;
    for (let child = 1; child < this.size; child = 2 * i + 1) {
      if (child + 1 < this.size && items[child + 1]! < items[child]!) child++;
      if (items[child]! >= value) break;
      items[i] = items[child]!;
      i = child;
    }
    items[i] = value;
    return top;
  }
}
