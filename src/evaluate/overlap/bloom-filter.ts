import { mix32 } from "../../util/random.js";

/** How a Bloom filter is laid out. */
export interface BloomShape {
  /** Bits that an element sets. */
  readonly hashes: number;
  /** Bits of each part, a multiple of 32, at most 2^32. */
  readonly bits: number;
  /** One, unless the filter has more bits than a part can have: then an element's hash says to which part it belongs. */
  readonly parts: number;
}

/** 512 MiB: what 32 bits can address. */
const MAX_PART_BITS = 2 ** 32;
/** So small a filter has more than enough bits, and chance in how many get set plays no part. */
const MIN_BITS = 2 ** 16;
/** A hundredth more than the formula has, for that chance. */
const MARGIN = 1.01;

/**
 * The smallest filter for so many elements whose rate of false positives is below `rate`.
 *
 * With k bits set by each of n elements among m bits, an element that was not added is found at a rate of
 * (1 - e^(-kn/m))^k (Bloom 1970). m is least for k = log₂(1/rate); that is rounded, and m solved for it:
 * k = round(log₂(1/rate)), m = -kn / ln(1 - rate^(1/k)). For a rate of 10^-8: k = 27 and m = 38.3 n.
 *
 * @param maxPartBits a multiple of 32.
 */
export function bloomShape(elements: number, rate: number, maxPartBits = MAX_PART_BITS): BloomShape {
  const hashes = Math.max(1, Math.round(Math.log2(1 / rate)));
  const least = (-hashes * elements) / Math.log1p(-(rate ** (1 / hashes)));
  const bits = Math.max(MIN_BITS, MARGIN * least);
  const parts = Math.ceil(bits / maxPartBits);
  return { hashes, bits: 32 * Math.ceil(bits / parts / 32), parts };
}

/** A set that forgets what is in it but for whether it is: never denies an element, rarely claims another. */
export class BloomFilter {
  readonly shape: BloomShape;
  /** Bit b of a part is bit b mod 32 of its word b / 32. */
  readonly parts: readonly Int32Array[];
  readonly #scale: number;

  /** @param parts of `shape.bits / 32` words each; by default empty ones. */
  constructor(shape: BloomShape, parts?: readonly Int32Array[]) {
    this.shape = shape;
    this.parts = parts ?? Array.from({ length: shape.parts }, () => new Int32Array(shape.bits / 32));
    this.#scale = shape.bits / 2 ** 32;
  }

  /** An empty filter in memory that threads share, who add to it by a {@link BloomWriter}. */
  static shared(shape: BloomShape): BloomFilter {
    const part = () => new Int32Array(new SharedArrayBuffer(shape.bits / 8));
    return new BloomFilter(shape, Array.from({ length: shape.parts }, part));
  }

  /**
   * Adds the element with this hash of two halves, the second odd. Its i-th bit is mix(first + i·second), scaled to the
   * number of bits: double hashing (Kirsch & Mitzenmacher 2006) in 2³² places, whose regular steps the mixing destroys,
   * so that small filters have no more false positives than the formula says.
   */
  add(first: number, second: number): void {
    const words = this.parts[this.partOf(first, second)]!;
    for (let i = 0, x = first; i < this.shape.hashes; i++, x = (x + second) | 0) {
      const bit = (mix32(x) * this.#scale) >>> 0;
      words[bit >>> 5]! |= 1 << (bit & 31);
    }
  }

  has(first: number, second: number): boolean {
    const words = this.parts[this.partOf(first, second)]!;
    for (let i = 0, x = first; i < this.shape.hashes; i++, x = (x + second) | 0) {
      const bit = (mix32(x) * this.#scale) >>> 0;
      if ((words[bit >>> 5]! & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }

  /** Share of the bits that are set. To the power of `hashes` it is the rate of false positives. */
  fill(): number {
    let set = 0;
    for (const words of this.parts) for (const word of words) set += ones(word);
    return set / (this.shape.bits * this.shape.parts);
  }

  /** Index of the part that an element belongs to. */
  partOf(first: number, second: number): number {
    const { parts } = this.shape;
    return parts === 1 ? 0 : (mix32(first ^ Math.imul(second, 0x9e3779b1)) * (parts / 2 ** 32)) >>> 0;
  }
}

/** Bits of a word that are set. */
function ones(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
