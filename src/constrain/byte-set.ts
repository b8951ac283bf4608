/** A set of bytes. */
export class ByteSet {
  static readonly none = new ByteSet(new Uint32Array(8));
  static readonly all = ByteSet.ranges([0, 255]);
  readonly #words: Uint32Array;

  private constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** @param ranges first and last byte of each */
  static ranges(...ranges: readonly (readonly [from: number, to: number])[]): ByteSet {
    const words = new Uint32Array(8);
    for (const [from, to] of ranges) for (let byte = from; byte <= to; byte++) words[byte >> 5]! |= 1 << (byte & 31);
    return new ByteSet(words);
  }

  static of(bytes: Iterable<number>): ByteSet {
    return ByteSet.ranges(...Array.from(bytes, (byte) => [byte, byte] as const));
  }

  has(byte: number): boolean {
    return ((this.#words[byte >> 5]! >>> (byte & 31)) & 1) === 1;
  }

  get isEmpty(): boolean {
    return this.#words.every((word) => word === 0);
  }

  /** Equal sets have equal keys. */
  get key(): string {
    return this.#words.join(",");
  }

  union(other: ByteSet): ByteSet {
    return new ByteSet(this.#words.map((word, i) => word | other.#words[i]!));
  }

  intersect(other: ByteSet): ByteSet {
    return new ByteSet(this.#words.map((word, i) => word & other.#words[i]!));
  }

  *[Symbol.iterator](): Generator<number> {
    for (let byte = 0; byte < 256; byte++) if (this.has(byte)) yield byte;
  }
}

/**
 * The coarsest division of the 256 bytes that keeps each set whole: bytes of one class behave alike.
 *
 * @returns the class of each byte, and a byte of each class
 */
export function byteClasses(sets: Iterable<ByteSet>): { classOf: Uint8Array; examples: number[] } {
  const classOf = new Uint8Array(256);
  let count = 1;
  for (const set of sets) {
    const moved = new Map<number, number>();
    for (let byte = 0; byte < 256; byte++) {
      if (!set.has(byte)) continue;
      const old = classOf[byte]!;
      if (!moved.has(old)) moved.set(old, count++);
      classOf[byte] = moved.get(old)!;
    }
    // A class whose bytes all moved is empty: number the rest anew.
    const used = [...new Set(classOf)].sort((a, b) => a - b);
    const renumber = new Map(used.map((old, i) => [old, i]));
    for (let byte = 0; byte < 256; byte++) classOf[byte] = renumber.get(classOf[byte]!)!;
    count = used.length;
  }
  const examples: number[] = [];
  for (let byte = 255; byte >= 0; byte--) examples[classOf[byte]!] = byte;
  return { classOf, examples };
}
