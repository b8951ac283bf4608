import { mix32 } from "../../util/random.js";
import type { BloomFilter } from "./bloom-filter.js";

/** Bits of a filter that are set together: 512 KiB, which stay in a core's cache. */
const REGION_SHIFT = 22;
/** Elements that are gathered before their bits are set. */
const ELEMENTS = 2 ** 17;

/** How many regions a filter has, over all its parts. */
export function regionCount({ shape }: BloomFilter): number {
  return shape.parts * regionsOfPart(shape.bits);
}

const regionsOfPart = (bits: number): number => Math.ceil(bits / 2 ** REGION_SHIFT);

/**
 * Adds many elements to a filter. Their bits lie all over it, and setting one after the other waits for memory each time;
 * so they are gathered, sorted by regions that fit a cache, and set region by region: two to three times as fast.
 *
 * Several threads may write to a filter of shared memory if they share locks too: a region is written by one at a time.
 */
export class BloomWriter {
  readonly #filter: BloomFilter;
  readonly #locks: Int32Array | undefined;
  readonly #first = new Int32Array(ELEMENTS);
  readonly #second = new Int32Array(ELEMENTS);
  #count = 0;
  /** [elements × hashes] as they come, and by region. */
  readonly #bits: Uint32Array;
  readonly #sorted: Uint32Array;
  /** Where each region's bits end; while counting one place further on. */
  readonly #ends: Int32Array;

  /** @param locks of shared memory, zeros, one for each of {@link regionCount} regions. */
  constructor(filter: BloomFilter, locks?: Int32Array) {
    const { hashes, bits } = filter.shape;
    this.#filter = filter;
    this.#locks = locks;
    this.#bits = new Uint32Array(ELEMENTS * hashes);
    this.#sorted = new Uint32Array(ELEMENTS * hashes);
    this.#ends = new Int32Array(regionsOfPart(bits) + 1);
  }

  /** Adds the first `count` elements. They are in the filter after the next {@link BloomWriter.flush}. */
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

  /** The bits of the elements that belong to a part; see {@link BloomFilter.add}. */
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
