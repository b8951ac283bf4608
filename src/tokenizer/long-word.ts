import type { WordMerger } from "./merge-word.js";
import type { TokenBytes } from "./token-bytes.js";
import { NO_ID, type Vocabulary } from "./vocabulary.js";

/** Number of bytes of a word that are merged at a time. */
const PIECE = 4096;

/**
 * Encodes a word of any length from left to right in constant memory. Naively the whole word is merged at once
 * ({@link WordMerger}); the ids here are exactly the same.
 *
 * Pieces suffice for this reason. Call two tokens a, b compatible if the bytes of both together encode to a, b. If a vocabulary
 * {@link isOrdered}, ranks rise while merging, and as long as nothing merges across the ends of tokens, each token's
 * bytes merge as if they stood alone. A sequence of tokens is therefore the encoding of its bytes if and only if all
 * neighbours are compatible. So a piece is merged, its last quarter is discarded (what follows could change it), and the
 * next piece starts there; if the two tokens at the seam are not compatible, the seam moves further left.
 */
export class LongWordEncoder {
  readonly #shortestPiece: number;
  #piece: number | undefined;
  /** Result of {@link step}: `ids[0, count)` replace the last `dropped` ids of the word so far. */
  ids = new Uint32Array(0);
  count = 0;
  dropped = 0;
  readonly #merger: WordMerger;
  readonly #tokens: TokenBytes;
  readonly #vocabulary: Vocabulary;
  readonly #pair = new Uint32Array(2);

  /** @param piece its size; smaller in tests, for more seams; at least eight times the longest token. */
  constructor(merger: WordMerger, tokens: TokenBytes, vocabulary: Vocabulary, piece = PIECE) {
    this.#merger = merger;
    this.#tokens = tokens;
    this.#vocabulary = vocabulary;
    this.#shortestPiece = Math.max(piece, 8 * tokens.longest);
  }

  /** Number of bytes encoded at a time; infinite for a vocabulary that is not ordered, whose words are merged whole. */
  get piece(): number {
    // Determined when first needed: such long words are rare.
    this.#piece ??= isOrdered(this.#vocabulary) ? this.#shortestPiece : Number.POSITIVE_INFINITY;
    return this.#piece;
  }

  /**
   * Encodes the next piece of a word: up to `piece` bytes from `bytes[start, end)`.
   *
   * @param soFar ids of the word before `start`.
   * @param last whether the word ends at `end`; if not, there must be at least `piece` bytes.
   * @returns number of bytes encoded.
   */
  step(bytes: Uint8Array, start: number, end: number, last: boolean, soFar: Uint32Array): number {
    const length = Math.min(end - start, this.piece);
    const isEnd = last && length === end - start;
    this.#merge(bytes.subarray(start, start + length), soFar);
    if (isEnd) return length;
    // Tokens are at most an eighth of a piece, so the part kept ends well past the ids that were dropped.
    let rest = 0;
    while (rest < length >> 2) rest += this.#tokens.lengthOf(this.ids[--this.count]!);
    return length - rest;
  }

  /** Merges a piece together with as many ids before it as the seam requires. */
  #merge(piece: Uint8Array, soFar: Uint32Array): void {
    for (this.dropped = 0; ; this.dropped = Math.min(2 * this.dropped + 1, soFar.length)) {
      const before = this.#tokens.bytesOf(soFar.subarray(soFar.length - this.dropped));
      const whole = new Uint8Array(before.length + piece.length);
      whole.set(before);
      whole.set(piece, before.length);
      if (this.ids.length < whole.length) this.ids = new Uint32Array(whole.length);
      this.count = this.#merger.merge(whole, 0, whole.length, this.ids, 0);
      if (this.dropped === soFar.length) return;
      if (this.#areCompatible(soFar[soFar.length - this.dropped - 1]!, this.ids[0]!)) return;
    }
  }

  #areCompatible(a: number, b: number): boolean {
    this.#pair[0] = a;
    this.#pair[1] = b;
    const bytes = this.#tokens.bytesOf(this.#pair);
    const ids = new Uint32Array(bytes.length);
    return this.#merger.merge(bytes, 0, bytes.length, ids, 0) === 2 && ids[0] === a && ids[1] === b;
  }
}

/**
 * Whether every merge joins tokens that only earlier merges make, as in every trained vocabulary, and every byte has a
 * token. Files can hold other vocabularies.
 */
export function isOrdered({ merges, results, size, byteIds }: Vocabulary): boolean {
  if (byteIds.includes(NO_ID)) return false;
  const madeBy = new Int32Array(size).fill(-1);
  results.forEach((id, rank) => {
    madeBy[id] = rank;
  });
  return results.every((_, rank) => madeBy[merges[2 * rank]!]! < rank && madeBy[merges[2 * rank + 1]!]! < rank);
}
