import { mix32 } from "../../util/random.js";

/** Layout of a Bloom filter. */
export interface BloomShape {
  /** Number of bits that an element sets. */
  readonly hashes: number;
  /** Bits of each part, a multiple of 32, at most 2^32. */
  readonly bits: number;
  /** One, unless the filter has more bits than fit a part; an element's hash then selects its part. */
  readonly parts: number;
}

/** 512 MiB: the bits that 32-bit indices address. */
const MAX_PART_BITS = 2 ** 32;
/** A filter of at least this size keeps random variation of the fill below {@link MARGIN}. */
const MIN_BITS = 2 ** 16;
/** Bits beyond the formula's, for random variation of the fill. */
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

/**
 * A set of n-gram hashes: no false negatives, few false positives. Naively it is a `Set` of strings, which takes a hundred
 * bytes and more per element; here an element takes 4.84 bytes, at a false-positive rate of 10^-8.
 */
export class BloomFilter {
  readonly shape: BloomShape;
  /** Bit b of a part is bit b mod 32 of its word b / 32. */
  readonly parts: readonly Int32Array[];
  readonly #scale: number;

  /** @param parts of `shape.bits / 32` words each; empty by default */
  constructor(shape: BloomShape, parts?: readonly Int32Array[]) {
    this.shape = shape;
    this.parts = parts ?? Array.from({ length: shape.parts }, () => new Int32Array(shape.bits / 32));
    this.#scale = shape.bits / 2 ** 32;
  }

  /** An empty filter in shared memory, for threads that add to it by a {@link BloomWriter}. */
  static shared(shape: BloomShape): BloomFilter {
    const part = () => new Int32Array(new SharedArrayBuffer(shape.bits / 8));
    return new BloomFilter(shape, Array.from({ length: shape.parts }, part));
  }

  /**
   * Adds the element with this hash of two halves, the second odd. Its i-th bit is mix(first + i·second), scaled to the
   * number of bits: double hashing (Kirsch & Mitzenmacher 2006) modulo 2³². Mixing breaks up its regular steps, which would
   * give small filters more false positives than the formula's.
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

  /** Share of bits that are set; to the power of `hashes`, the rate of false positives. */
  fill(): number {
    let set = 0;
    for (const words of this.parts) for (const word of words) set += ones(word);
    return set / (this.shape.bits * this.shape.parts);
  }

  /** Index of an element's part. */
  partOf(first: number, second: number): number {
    const { parts } = this.shape;
    return parts === 1 ? 0 : (mix32(first ^ Math.imul(second, 0x9e3779b1)) * (parts / 2 ** 32)) >>> 0;
  }
}

/** Population count of a word. */
function ones(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Bits of a region, 512 KiB: it stays in a core's cache while its bits are set. */
const REGION_SHIFT = 22;
/** Elements buffered before their bits are set. */
const ELEMENTS = 2 ** 17;

/** Number of regions over all parts of a filter. */
export function regionCount({ shape }: BloomFilter): number {
  return shape.parts * regionsOfPart(shape.bits);
}

const regionsOfPart = (bits: number): number => Math.ceil(bits / 2 ** REGION_SHIFT);

/**
 * Adds many elements to a filter. The naive way, {@link BloomFilter.add} for each, waits for memory at every bit, since an
 * element's bits lie all over the filter. Here elements are buffered, their bits sorted by regions that fit a cache, and set
 * region by region: two to three times as fast.
 *
 * Threads may write to a filter in shared memory if they share locks: a region has one writer at a time.
 */
export class BloomWriter {
  readonly #filter: BloomFilter;
  readonly #locks: Int32Array | undefined;
  readonly #first = new Int32Array(ELEMENTS);
  readonly #second = new Int32Array(ELEMENTS);
  #count = 0;
  /** [elements × hashes] bits, unsorted and sorted by region. */
  readonly #bits: Uint32Array;
  readonly #sorted: Uint32Array;
  /** End of each region's bits; shifted by one while counting. */
  readonly #ends: Int32Array;

  /** @param locks in shared memory, zeros, one for each of {@link regionCount} regions */
  constructor(filter: BloomFilter, locks?: Int32Array) {
    const { hashes, bits } = filter.shape;
    this.#filter = filter;
    this.#locks = locks;
    this.#bits = new Uint32Array(ELEMENTS * hashes);
    this.#sorted = new Uint32Array(ELEMENTS * hashes);
    this.#ends = new Int32Array(regionsOfPart(bits) + 1);
  }

  /** Adds the first `count` elements; the filter has them after the next {@link BloomWriter.flush}. */
  add(first: Int32Array, second: Int32Array, count: number): void {
    for (let done = 0; done < count; ) {
      const taken = Math.min(count - done, ELEMENTS - this.#count);
      this.#first.set(first.subarray(done, done + taken), this.#count);
      this.#second.set(second.subarray(done, done + taken), this.#count);
      this.#count += taken;
      done += taken;
      if (this.#count === ELEMENTS) this.flush();
    }
  }

  flush(): void {
    for (let part = 0; part < this.#filter.shape.parts; part++) {
      const count = this.#gather(part);
      this.#sort(count);
      this.#set(part);
    }
    this.#count = 0;
  }

  /** Computes the bits of a part's elements, as {@link BloomFilter.add}. Returns how many. */
  #gather(part: number): number {
    const filter = this.#filter;
    const { hashes, parts } = filter.shape;
    const scale = filter.shape.bits / 2 ** 32;
    const [bits, ends] = [this.#bits, this.#ends.fill(0)];
    let at = 0;
    for (let element = 0; element < this.#count; element++) {
      let x = this.#first[element]!;
      const step = this.#second[element]!;
      if (parts > 1 && filter.partOf(x, step) !== part) continue;
      for (let i = 0; i < hashes; i++) {
        const bit = (mix32(x) * scale) >>> 0;
        bits[at++] = bit;
        ends[(bit >>> REGION_SHIFT) + 1]!++;
        x = (x + step) | 0;
      }
    }
    return at;
  }

  #sort(count: number): void {
    const [bits, sorted, ends] = [this.#bits, this.#sorted, this.#ends];
    for (let region = 1; region < ends.length; region++) ends[region]! += ends[region - 1]!;
    for (let i = 0; i < count; i++) {
      const bit = bits[i]!;
      sorted[ends[bit >>> REGION_SHIFT]!++] = bit;
    }
  }

  #set(part: number): void {
    const words = this.#filter.parts[part]!;
    const [sorted, ends] = [this.#sorted, this.#ends];
    const regions = ends.length - 1;
    for (let region = 0, at = 0; region < regions; region++) {
      const end = ends[region]!;
      if (end === at) continue;
      const lock = part * regions + region;
      if (this.#locks) acquire(this.#locks, lock);
      for (; at < end; at++) {
        const bit = sorted[at]!;
        words[bit >>> 5]! |= 1 << (bit & 31);
      }
      if (this.#locks) release(this.#locks, lock);
    }
  }
}

function acquire(locks: Int32Array, index: number): void {
  while (Atomics.compareExchange(locks, index, 0, 1) !== 0) Atomics.wait(locks, index, 1);
}

function release(locks: Int32Array, index: number): void {
  Atomics.store(locks, index, 0);
  Atomics.notify(locks, index, 1);
}
