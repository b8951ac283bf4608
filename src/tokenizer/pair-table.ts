import { ID_BITS } from "./vocabulary.js";

/** Hash of a pair of 32-bit ids. */
export function hashPair(a: number, b: number): number {
  const h = Math.imul(Math.imul(a, 0x9e3779b1) ^ b, 0x85ebca6b);
  return h ^ (h >>> 15);
}

/** Rank of a pair that does not merge: above every real rank, which has at most 24 bits. */
export const NO_RANK = 2 ** 24 - 1;

const EMPTY = -1;

/** Ranks of the pairs of ids that merge: a hash table with open addressing, at most half full. */
export class MergeTable {
  readonly #mask: number;
  /** [slots × 2] left | low 12 bits of right << 20, then high 8 bits of right | rank << 8. */
  readonly #slots: Int32Array;

  /** @param merges [2 × count] ids left, right by rank. */
  constructor(merges: Uint32Array) {
    const count = merges.length >> 1;
    let slots = 64;
    while (slots < 2 * count) slots *= 2;
    this.#mask = 2 * slots - 1;
    this.#slots = new Int32Array(2 * slots).fill(EMPTY);
    for (let r = 0; r < count; r++) this.#insert(merges[2 * r]!, merges[2 * r + 1]!, r);
  }

  #insert(a: number, b: number, rank: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    const key = a | (b << ID_BITS);
    const high = b >>> 12;
    let i = (hashPair(a, b) << 1) & mask;
    for (; slots[i] !== EMPTY; i = (i + 2) & mask) {
      // A pair listed twice merges at its first rank.
      if (slots[i] === key && (slots[i + 1]! & 0xff) === high) return;
    }
    slots[i] = key;
    slots[i + 1] = high | (rank << 8);
  }

  /** Rank of the pair, or {@link NO_RANK}. */
  rank(a: number, b: number): number {
    const slots = this.#slots;
    const mask = this.#mask;
    const key = a | (b << ID_BITS);
    const high = b >>> 12;
    for (let i = (hashPair(a, b) << 1) & mask; ; i = (i + 2) & mask) {
      const found = slots[i]!;
      if (found === key && (slots[i + 1]! & 0xff) === high) return slots[i + 1]! >>> 8;
      if (found === EMPTY) return NO_RANK;
    }
  }
}
