/** Hash of a pair of 32-bit ids. */
export function hashPair(a: number, b: number): number {
  const h = Math.imul(Math.imul(a, 0x9e3779b1) ^ b, 0x85ebca6b);
  return h ^ (h >>> 15);
}

/** Rank of a pair that does not merge: above every rank. */
export const NO_RANK = 0x7fffffff;

/** Which pairs of ids merge, at what rank: open addressing, never more than half full, one cache line a probe. */
export class MergeTable {
  readonly #mask: number;
  /** [slots × 4] left, right, rank, id made; an empty slot has left = -1. */
  readonly #slots: Int32Array;

  /** @param merges [2 × count] ids left, right by rank. @param results [count] id that each makes. */
  constructor(merges: Uint32Array, results: Uint32Array) {
    let slots = 64;
    while (slots < 2 * results.length) slots *= 2;
    this.#mask = slots - 1;
    this.#slots = new Int32Array(slots * 4).fill(-1);
    for (let r = 0; r < results.length; r++) this.#insert(merges[2 * r]!, merges[2 * r + 1]!, r, results[r]!);
  }

  #insert(a: number, b: number, rank: number, id: number): void {
    const s = this.#slots;
    let i = (hashPair(a, b) & this.#mask) << 2;
    for (; s[i] !== -1; i = (i + 4) & (s.length - 1)) {
      // A pair listed twice merges at its first rank.
      if (s[i] === a && s[i + 1] === b) return;
    }
    s[i] = a;
    s[i + 1] = b;
    s[i + 2] = rank;
    s[i + 3] = id;
  }

  /** Where the pair's entry is, or -1: an argument for {@link rankAt} and {@link idAt}. */
  find(a: number, b: number): number {
    const s = this.#slots;
    const end = s.length - 1;
    for (let i = (hashPair(a, b) & this.#mask) << 2; ; i = (i + 4) & end) {
      const left = s[i]!;
      if (left === a && s[i + 1] === b) return i;
      if (left === -1) return -1;
    }
  }

  /** Rank of the pair, or {@link NO_RANK}. */
  rank(a: number, b: number): number {
    const i = this.find(a, b);
    return i < 0 ? NO_RANK : this.#slots[i + 2]!;
  }
}
