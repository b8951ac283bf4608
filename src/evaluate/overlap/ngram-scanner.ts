import { mix32 } from "../../util/random.js";
import { characterKind, DELIMITER, foldText, MARK, SURROGATE, unitKinds, WORD_CHARACTER } from "./words.js";

/**
 * Hashes of the n-grams of a document's words, 64 bits each in two halves. The naive way joins each n words of
 * {@link normalizedWords} and hashes the string; here no string is made, and each word updates the last n-gram's hash.
 *
 * A word's two halves are FNV-1a (32 bits) and a second product-and-rotate hash over its UTF-16 code units, each mixed.
 * An n-gram's are the polynomials w₀·Bⁿ⁻¹ + … + wₙ₋₁ mod 2³² of its words' halves, with a base for each, as rolling hashes
 * (Rabin & Karp), and mixed into each other by a bijection, which keeps 64 bits.
 */
export class NgramScanner {
  readonly n: number;
  /** Hashes of the n-grams that end in the text last pushed, in order; the second halves are odd. */
  first = new Int32Array(0);
  second = new Int32Array(0);
  /** Number of words of the document so far. */
  words = 0;
  /** Ring buffers of the last n words' halves; the next goes to `#slot`. */
  readonly #ring1: Int32Array;
  readonly #ring2: Int32Array;
  readonly #power1: number;
  readonly #power2: number;
  #slot = 0;
  #sum1 = 0;
  #sum2 = 0;

  constructor(n: number) {
    this.n = n;
    this.#ring1 = new Int32Array(n);
    this.#ring2 = new Int32Array(n);
    this.#power1 = power(BASE1, n);
    this.#power2 = power(BASE2, n);
  }

  /** Starts a new document; n-grams do not cross documents. */
  begin(): void {
    this.words = 0;
    this.#slot = 0;
    this.#sum1 = 0;
    this.#sum2 = 0;
    this.#ring1.fill(0);
    this.#ring2.fill(0);
  }

  /** Continues the document; words do not cross texts. Returns the number of n-grams that end in this text. */
  push(text: string): number {
    const folded = foldText(text);
    // A word and the space after it take at least two units.
    this.#reserve((folded.length >> 1) + 1);
    const kinds = unitKinds();
    let count = 0;
    let inWord = false;
    let a = START1;
    let b = START2;
    for (let i = 0; i < folded.length; i++) {
      const unit = folded.charCodeAt(i);
      let kind = kinds[unit]!;
      let low = 0;
      if (kind === SURROGATE) {
        const point = folded.codePointAt(i)!;
        kind = point > 0xffff ? characterKind(String.fromCodePoint(point)) : DELIMITER;
        if (point > 0xffff) low = folded.charCodeAt(++i);
      }
      if (kind === WORD_CHARACTER || (kind === MARK && inWord)) {
        inWord = true;
        a = Math.imul(a ^ unit, FNV_PRIME);
        b = rotate(Math.imul(b ^ unit, MULTIPLIER));
        if (low !== 0) {
          a = Math.imul(a ^ low, FNV_PRIME);
          b = rotate(Math.imul(b ^ low, MULTIPLIER));
        }
      } else if (inWord) {
        inWord = false;
        count = this.#word(a, b, count);
        a = START1;
        b = START2;
      }
    }
    return inWord ? this.#word(a, b, count) : count;
  }

  #word(a: number, b: number, count: number): number {
    const slot = this.#slot;
    const [w1, w2] = [mix32(a) | 0, mix32(b) | 0];
    this.#sum1 = (Math.imul(this.#sum1, BASE1) + w1 - Math.imul(this.#ring1[slot]!, this.#power1)) | 0;
    this.#sum2 = (Math.imul(this.#sum2, BASE2) + w2 - Math.imul(this.#ring2[slot]!, this.#power2)) | 0;
    this.#ring1[slot] = w1;
    this.#ring2[slot] = w2;
    this.#slot = slot + 1 === this.n ? 0 : slot + 1;
    this.words++;
    if (this.words < this.n) return count;
    const x = this.#sum1 ^ mix32(this.#sum2);
    this.first[count] = mix32((x + GOLDEN) | 0);
    this.second[count] = (this.#sum2 ^ mix32(x)) | 1;
    return count + 1;
  }

  #reserve(ngrams: number): void {
    if (ngrams <= this.first.length) return;
    this.first = new Int32Array(ngrams);
    this.second = new Int32Array(ngrams);
  }
}

/** FNV-1a's offset basis and prime (Fowler, Noll & Vo). */
const START1 = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;
/** The second hash: digits of π, and MurmurHash2's multiplier. */
const START2 = 0x243f6a88;
const MULTIPLIER = 0x5bd1e995;
/** 2³² divided by the golden ratio: an all-zero state must not stay all-zero. */
const GOLDEN = 0x9e3779b9 | 0;
/** 5 mod 8: their powers have the maximal period modulo 2³². */
const BASE1 = 0x2c9277b5;
const BASE2 = 0x5851f42d;

const rotate = (x: number): number => (x << 13) | (x >>> 19);

function power(base: number, exponent: number): number {
  let product = 1;
  for (let i = 0; i < exponent; i++) product = Math.imul(product, base);
  return product;
}
