import { BYTES_BY_ID } from "./byte-alphabet.js";
import type { WordCounts } from "./count-words.js";
import { PairCounts } from "./pair-counts.js";
import { PairQueue } from "./pair-queue.js";

/**
 * Learns merges from counted words. Naively:
 *
 *     for (let id = 256; id < vocabSize; id++) {
 *       const counts = count of each adjacent pair over all words, weighted by the words' counts;
 *       const pair = the most frequent one; ties go to the smaller left id, then to the smaller right id;
 *       replace the pair by `id` in every word;
 *     }
 *
 * (test/tokenizer/naive-bpe.ts.) The same corpus gives the same merges, whatever its order. A pair whose bytes already are
 * a token is skipped, so that only one merge makes a token.
 *
 * Here the words are one linked list of symbols, and each pair knows its positions: a merge updates only the counts
 * around these ({@link PairCounts}), and the next pair comes from a heap ({@link PairQueue}). Time is nearly linear in the
 * bytes of the distinct words.
 */
export class MergeTrainer {
  /** Ids left, right of each learned merge; merge r makes token 256 + r. */
  readonly merges: number[] = [];
  /** Length of the corpus in tokens, under the merges learned so far. */
  tokens: number;
  /** Symbol at each position; -1 if merged into the one on its left. */
  readonly #symbols: Int32Array;
  /** Position of the next and the previous symbol of the same word, or -1. */
  readonly #next: Int32Array;
  readonly #prev: Int32Array;
  /** The word of each position. */
  readonly #wordOf: Int32Array;
  readonly #words: WordCounts;
  readonly #pairs = new PairCounts();
  readonly #queue = new PairQueue(this.#pairs);
  /** Bytes of each token as Latin-1 text. */
  readonly #texts: string[];
  readonly #taken: Set<string>;

  constructor(words: WordCounts) {
    this.#words = words;
    this.tokens = words.bytes;
    this.#texts = Array.from(BYTES_BY_ID, (byte) => String.fromCharCode(byte));
    this.#taken = new Set(this.#texts);
    const length = words.words.offsets[words.words.size]!;
    this.#symbols = new Int32Array(length);
    this.#next = new Int32Array(length).fill(-1);
    this.#prev = new Int32Array(length).fill(-1);
    this.#wordOf = new Int32Array(length);
    for (let word = 0; word < words.words.size; word++) this.#addWord(word);
    for (let pair = 0; pair < this.#pairs.size; pair++) this.#queue.push(pair);
  }

  #addWord(word: number): void {
    const { bytes, offsets } = this.#words.words;
    const weight = this.#words.count(word);
    const [from, to] = [offsets[word]!, offsets[word + 1]!];
    for (let i = from; i < to; i++) {
      this.#symbols[i] = ID_OF_BYTE[bytes[i]!]!;
      this.#wordOf[i] = word;
      if (i === from) continue;
      this.#prev[i] = i - 1;
      this.#next[i - 1] = i;
      this.#pairs.add(this.#symbols[i - 1]!, this.#symbols[i]!, weight, i - 1);
    }
  }

  /** Learns one more merge; false if no pair is left that occurs at least `minFrequency` times. */
  step(minFrequency: number): boolean {
    for (;;) {
      const pair = this.#queue.pop();
      if (pair < 0 || this.#pairs.counts[pair]! < minFrequency) return false;
      const a = this.#pairs.left[pair]!;
      const b = this.#pairs.right[pair]!;
      const text = this.#texts[a]! + this.#texts[b]!;
      if (this.#taken.has(text)) continue;
      const id = this.#texts.length;
      this.#texts.push(text);
      this.#taken.add(text);
      this.merges.push(a, b);
      const before = this.#pairs.size;
      for (const i of this.#pairs.takePositions(pair)) this.#mergeAt(i, a, b, id);
      this.#pairs.counts[pair] = 0;
      for (let created = before; created < this.#pairs.size; created++) this.#queue.push(created);
      return true;
    }
  }

  /** Replaces `a b` at position `i` by `id`, unless an earlier merge changed the symbols there. */
  #mergeAt(i: number, a: number, b: number, id: number): void {
    const symbols = this.#symbols;
    const j = this.#next[i]!;
    if (symbols[i] !== a || j < 0 || symbols[j] !== b) return;
    const weight = this.#words.count(this.#wordOf[i]!);
    this.tokens -= weight;
    const before = this.#prev[i]!;
    const after = this.#next[j]!;
    if (before >= 0) {
      this.#pairs.subtract(symbols[before]!, a, weight);
      this.#pairs.add(symbols[before]!, id, weight, before);
    }
    if (after >= 0) {
      this.#pairs.subtract(b, symbols[after]!, weight);
      this.#pairs.add(id, symbols[after]!, weight, i);
      this.#prev[after] = i;
    }
    symbols[i] = id;
    symbols[j] = -1;
    this.#next[i] = after;
  }
}

const ID_OF_BYTE = new Uint8Array(256);
BYTES_BY_ID.forEach((byte, id) => {
  ID_OF_BYTE[byte] = id;
});
