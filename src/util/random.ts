/**
 * Counter-based random numbers: a value is a function of (key, index) alone, so the order of draws, the number of threads
 * and restarts do not matter. The C kernels compute the same bits (native/random.h).
 */

/** A bijective 32-bit mixer (multiply-xorshift; constants from the public hash-prospector search for low bias). */
export function mix32(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x21f0aaad);
  x ^= x >>> 15;
  x = Math.imul(x, 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** 32 random bits for `index` under the key (k0, k1). */
export function randomBits(k0: number, k1: number, index: number): number {
  return mix32((mix32((index ^ k0) >>> 0) + k1) >>> 0);
}

/** A 32-bit key derived from a seed and any number of labels (step, site, rank, …), whose order matters. */
export function deriveKey(seed: number, ...labels: number[]): number {
  // The high half of seeds above 32 bits is used too.
  let key = mix32((seed >>> 0) ^ mix32(Math.floor(seed / 2 ** 32) >>> 0));
  for (const label of labels) key = mix32((Math.imul(key, 0x9e3779b1) + (label >>> 0) + 0x7f4a7c15) >>> 0);
  return key;
}

/** A stream of random numbers: its state is the key and a counter, both of which can be saved. */
export class RandomStream {
  readonly #k0: number;
  readonly #k1: number;
  /** Number of values drawn so far. */
  counter: number;

  constructor(seed: number, label = 0, counter = 0) {
    this.#k0 = deriveKey(seed, label, 1);
    this.#k1 = deriveKey(seed, label, 2);
    this.counter = counter;
  }

  /** 32 random bits. */
  bits(): number {
    const i = this.counter++;
    const high = Math.floor(i / 2 ** 32);
    return randomBits(high === 0 ? this.#k0 : mix32(this.#k0 ^ high), this.#k1, i >>> 0);
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(): number {
    const high = this.bits() >>> 5;
    const low = this.bits() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Uniform integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal (Box-Muller, using one of the pair). */
  normal(): number {
    const u = 1 - this.uniform();
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.uniform());
  }
}
