import { MergeTable, NO_RANK } from "./pair-table.js";
import { NO_ID, type Vocabulary } from "./vocabulary.js";

/** Up to this many bytes, every merge is followed by a search for the lowest rank; longer words use a heap. */
const POSITION_BITS = 6;
const SHORT = 1 << POSITION_BITS;

/**
 * Byte-pair encoding of one word. Naively (see {@link Tokenizer}): merge the adjacent pair of lowest rank, the leftmost of
 * equals, until no pair merges. Short words are merged in just this way, in flat arrays that keep the ranks; long ones with a heap
 * of ranks over a linked list of symbols.
 */
export class WordMerger {
  readonly #table: MergeTable;
  readonly #results: Uint32Array;
  /** The result of rank 0 if rank r's result is r more, as almost always: arithmetic is faster than memory. Else -1. */
  readonly #firstResult: number;
  readonly #byteIds: Uint32Array;
  /** Whether each byte has a token. */
  readonly #isComplete: boolean;
  readonly #unknown: Vocabulary["unknown"];
  /** [256 × 256] rank of each pair of bytes: half of all look-ups, and four times as fast as the table. */
  readonly #byteRanks: Int32Array;
  /** Symbols of a short word, and the rank of each with the next one. */
  readonly #ids = new Int32Array(SHORT + 1);
  readonly #ranks = new Int32Array(SHORT + 1);
  #scratch: LongScratch | undefined;

  constructor(vocabulary: Vocabulary) {
    this.#table = new MergeTable(vocabulary.merges);
    this.#results = vocabulary.results;
    this.#firstResult = isAscending(vocabulary.results) ? (vocabulary.results[0] ?? -1) : -1;
    this.#byteIds = vocabulary.byteIds;
    this.#isComplete = !vocabulary.byteIds.includes(NO_ID);
    this.#unknown = vocabulary.unknown;
    this.#byteRanks = rankBytePairs(vocabulary);
  }

  /**
   * Writes the ids of `bytes[start, end)` to `out` from `at`, where there must be room for one id per byte; returns
   * their number.
   */
  merge(bytes: Uint8Array, start: number, end: number, out: Uint32Array, at: number): number {
    const n = end - start;
    if (!this.#isComplete) return this.#mergeLong(out, at, this.#knownSymbols(bytes, start, end, out, at));
    if (n <= SHORT) return this.#mergeShort(bytes, start, n, out, at);
    for (let i = 0; i < n; i++) out[at + i] = this.#byteIds[bytes[start + i]!]!;
    return this.#mergeLong(out, at, n);
  }

  /** Writes the symbols of a word in which some bytes may have no token: these are dropped, or become the unknown token. */
  #knownSymbols(bytes: Uint8Array, start: number, end: number, out: Uint32Array, at: number): number {
    let count = 0;
    let wasUnknown = false;
    for (let i = start; i < end; i++) {
      const id = this.#byteIds[bytes[i]!]!;
      if (id !== NO_ID) out[at + count++] = id;
      else if (this.#unknown && !(wasUnknown && this.#unknown.fused)) out[at + count++] = this.#unknown.id;
      wasUnknown = id === NO_ID;
    }
    return count;
  }

  /**
   * Quadratic in n with a small constant. The search for the lowest rank has no branch that depends on the ranks: the
   * position of the lowest cannot be predicted, and a misprediction costs as much as a look-up.
   */
  #mergeShort(bytes: Uint8Array, start: number, length: number, out: Uint32Array, at: number): number {
    const table = this.#table;
    const ids = this.#ids;
    const ranks = this.#ranks;
    let byte = bytes[start]!;
    ids[0] = this.#byteIds[byte]!;
    for (let i = 1; i < length; i++) {
      const next = bytes[start + i]!;
      ids[i] = this.#byteIds[next]!;
      ranks[i - 1] = this.#byteRanks[(byte << 8) | next]!;
      byte = next;
    }
    let pairs = length - 1;
    for (;;) {
      // Rank and position in one number: the minimum is the leftmost of the lowest ranks.
      let least = NO_RANK << POSITION_BITS;
      for (let i = 0; i < pairs; i++) {
        const difference = ((ranks[i]! << POSITION_BITS) | i) - least;
        least += difference & (difference >> 31);
      }
      const rank = least >> POSITION_BITS;
      if (rank === NO_RANK) break;
      const i = least & (SHORT - 1);
      const id = this.#resultOf(rank);
      ids[i] = id;
      pairs--;
      for (let j = i + 1; j <= pairs; j++) {
        ids[j] = ids[j + 1]!;
        ranks[j] = ranks[j + 1]!;
      }
      if (i < pairs) ranks[i] = table.rank(id, ids[i + 1]!);
      if (i > 0) ranks[i - 1] = table.rank(ids[i - 1]!, id);
    }
    for (let i = 0; i <= pairs; i++) out[at + i] = ids[i]!;
    return pairs + 1;
  }

  #resultOf(rank: number): number {
    return this.#firstResult < 0 ? this.#results[rank]! : this.#firstResult + rank;
  }

  /** Merges the symbols `out[at, at + n)` in place and returns how many are left. O(n log n). */
  #mergeLong(out: Uint32Array, at: number, n: number): number {
    const table = this.#table;
    const { next, prev, rankAt, heap } = this.#longScratch(n);
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
    for (let i = 0; i < n; i++) consider(i);
    while (heap.size > 0) {
      const top = heap.pop();
      const rank = Math.floor(top / 2 ** 32);
      const i = top - rank * 2 ** 32;
      // An entry whose pair a neighbour's merge has changed stays in the heap, but no longer agrees with rankAt.
      if (rankAt[i] !== rank) continue;
      const j = next[i]!;
      out[at + i] = this.#resultOf(rank);
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

  #longScratch(n: number): LongScratch {
    const kept = this.#scratch;
    if (kept !== undefined && kept.next.length >= n) return kept;
    const length = Math.max(n, MOST_KEPT);
    const scratch = {
      next: new Int32Array(length),
      prev: new Int32Array(length),
      rankAt: new Int32Array(length),
      heap: new MinHeap(),
    };
    if (length === MOST_KEPT) this.#scratch = scratch;
    return scratch;
  }
}

/** By position in a long word: the positions of the next and the previous symbol, and the rank of the pair with the next. */
interface LongScratch {
  readonly next: Int32Array;
  readonly prev: Int32Array;
  readonly rankAt: Int32Array;
  readonly heap: MinHeap;
}

/** Length of the longest word whose scratch memory is kept. */
const MOST_KEPT = 1 << 13;

/** Whether each value is one more than the one before. */
function isAscending(values: Uint32Array): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[i - 1]! + 1) return false;
  return true;
}

function rankBytePairs({ merges, byteIds, size }: Vocabulary): Int32Array {
  const byteOfId = new Int16Array(size).fill(-1);
  byteIds.forEach((id, byte) => {
    if (id !== NO_ID) byteOfId[id] = byte;
  });
  const ranks = new Int32Array(1 << 16).fill(NO_RANK);
  for (let r = 0; r < merges.length / 2; r++) {
    const left = byteOfId[merges[2 * r]!]!;
    const right = byteOfId[merges[2 * r + 1]!]!;
    if (left < 0 || right < 0) continue;
    const pair = (left << 8) | right;
    ranks[pair] = Math.min(ranks[pair]!, r);
  }
  return ranks;
}

/** A binary heap of numbers, smallest first. */
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
