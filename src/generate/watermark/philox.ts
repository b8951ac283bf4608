/**
 * The keyed generator behind watermarks: 32 bits for each key, context and token, by Philox4x32-10 (Salmon et al. 2011,
 * "Parallel Random Numbers: As Easy as 1, 2, 3"). Contexts and tokens are mapped to counters and keys like in vLLM's
 * PhiloxPRF, version philox4x32-10-v1, so each program finds the other's marks. Integers only, so exact on every machine.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;
const CONTEXT_DOMAIN = 0x574d4358;
const TOKEN_DOMAIN = 0x574d544b;

/** The upper 32 bits of the product of two 32-bit numbers. */
export function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (cross & 0xffff);
  return (aHigh * bHigh + (cross >>> 16) + (carry >>> 16)) >>> 0;
}

/** Computes ten rounds in place. */
function philox(counter: Uint32Array, key0: number, key1: number): void {
  let c0 = counter[0]!;
  let c1 = counter[1]!;
  let c2 = counter[2]!;
  let c3 = counter[3]!;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(M0, c0);
    const low0 = Math.imul(M0, c0) >>> 0;
    const high1 = multiplyHigh(M1, c2);
    const low1 = Math.imul(M1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ key0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ key1) >>> 0;
    c3 = low0;
    key0 = (key0 + W0) >>> 0;
    key1 = (key1 + W1) >>> 0;
  }
  counter[0] = c0;
  counter[1] = c1;
  counter[2] = c2;
  counter[3] = c3;
}

/** Pseudorandom words for the tokens that may follow a context. */
export class ContextWords {
  readonly #key0: number;
  readonly #key1: number;
  /** The context compressed to four words. */
  readonly #state = new Uint32Array(4);
  /** The words of the four tokens from `4 * #group` on. */
  readonly #words = new Uint32Array(4);
  #group = -1;

  /** @param key a 64-bit integer */
  constructor(key: bigint) {
    this.#key0 = Number(key & 0xffffffffn);
    this.#key1 = Number(key >> 32n);
  }

  /** Sets the context of {@link word}. -1 stands for a token before the text. */
  seek(context: ArrayLike<number>): this {
    const state = this.#state;
    state.set([CONTEXT_DOMAIN, context.length, 0, 0]);
    for (let offset = 0; offset < context.length; offset += 4) {
      for (let i = 0; i < 4; i++) state[i]! ^= offset + i < context.length ? context[offset + i]! : -1 - i;
      philox(state, (this.#key0 ^ offset) >>> 0, this.#key1);
    }
    this.#group = -1;
    return this;
  }

  /** The 32 pseudorandom bits of a token. */
  word(token: number): number {
    const group = token >>> 2;
    if (group !== this.#group) {
      const state = this.#state;
      this.#words.set([group, state[0]!, state[1]!, state[2]!]);
      philox(this.#words, (this.#key0 ^ state[3]!) >>> 0, (this.#key1 ^ TOKEN_DOMAIN) >>> 0);
      this.#group = group;
    }
    return this.#words[token & 3]!;
  }

  /** The word's upper 24 bits as a single-precision number in (0, 1). */
  uniform(token: number): number {
    return Math.fround(((this.word(token) >>> 8) + 1) / (2 ** 24 + 1));
  }
}
