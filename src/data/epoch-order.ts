import { DataError } from "../errors.js";
import { deriveKey, mix32 } from "../util/random.js";

/** Rounds of the Feistel network: four pass statistical tests, and more cost nothing compared to a training step. */
const ROUNDS = 8;

/** Labels for different keys of the two uses. */
const OFFSET = 1;
const PERMUTATION = 2;

/**
 * The order in which a training run sees its data. Sequence i = 0, 1, 2, … of the run belongs to epoch ⌊i / W⌋, where
 * W = ⌊N / T⌋ windows of T tokens are visited in a new permutation. The grid of windows starts at a token 0 … T-1 drawn for
 * each epoch, so documents are cut at different places each time. The tokens form a ring: the last window's targets may come
 * from the start.
 *
 * Everything is a function of (seed, i), so a run's position in its data is one integer, and resuming is exact. Naively an
 * epoch's order is a shuffled array of W numbers; a Feistel network gives a permutation that needs no memory.
 */
export class EpochOrder {
  /** Tokens in the data set, N. */
  readonly totalTokens: number;
  /** Tokens in a window, T. */
  readonly T: number;
  readonly seed: number;
  /** W. */
  readonly windowsPerEpoch: number;
  #epoch = -1;
  #offset = 0;
  #permutation: Permutation | undefined;

  /** @throws {DataError} there are fewer than T + 1 tokens */
  constructor(totalTokens: number, T: number, seed: number) {
    checkWindow(totalTokens, T);
    this.totalTokens = totalTokens;
    this.T = T;
    this.seed = seed;
    this.windowsPerEpoch = Math.floor(totalTokens / T);
  }

  /** The epoch of sequence i, from 0. */
  epochOf(i: number): number {
    return Math.floor(i / this.windowsPerEpoch);
  }

  /** Index of the first token of sequence i, in 0 … N-1. */
  start(i: number): number {
    const epoch = this.epochOf(i);
    if (epoch !== this.#epoch) this.#enter(epoch);
    const window = this.#permutation!.at(i - epoch * this.windowsPerEpoch);
    return (this.#offset + window * this.T) % this.totalTokens;
  }

  #enter(epoch: number): void {
    this.#epoch = epoch;
    this.#offset = deriveKey(this.seed, epoch, OFFSET) % this.T;
    this.#permutation = new Permutation(this.windowsPerEpoch, deriveKey(this.seed, epoch, PERMUTATION));
  }
}

/**
 * A pseudo-random permutation of 0 … n-1 in constant memory: a balanced Feistel network on the smallest even number of
 * bits that holds n, repeated while the result is n or more (cycle walking: Black and Rogaway, "Ciphers with
 * arbitrary finite domains", 2002). The domain is at most 4n or 64, so a few applications suffice.
 */
export class Permutation {
  readonly #n: number;
  readonly #half: number;
  readonly #keys: number[];

  constructor(n: number, key: number) {
    let bits = 3;
    // Halves of fewer than 3 bits could make only some of the permutations.
    while (4 ** bits < n) bits++;
    this.#n = n;
    this.#half = 2 ** bits;
    this.#keys = Array.from({ length: ROUNDS }, (_, round) => deriveKey(key, round));
  }

  at(index: number): number {
    let x = index;
    do x = this.#encrypt(x);
    while (x >= this.#n);
    return x;
  }

  #encrypt(x: number): number {
    const half = this.#half;
    let left = Math.floor(x / half);
    let right = x % half;
    for (const key of this.#keys) {
      const next = (left ^ (mix32((right ^ key) >>> 0) % half)) >>> 0;
      left = right;
      right = next;
    }
    return left * half + right;
  }
}

/** @throws {DataError} the data doesn't fill one window. */
export function checkWindow(totalTokens: number, T: number): void {
  if (!Number.isInteger(T) || T < 1) {
    throw new DataError({ op: "reading a data set", expected: "a sequence length of 1 or more", got: String(T) });
  }
  if (totalTokens > T) return;
  throw new DataError({
    op: "reading a data set",
    expected: `more than ${T} tokens, the sequence length`,
    got: `${totalTokens} tokens`,
    hint: "Use more text, or a shorter sequence length",
  });
}
