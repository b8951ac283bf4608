/** A set of bytes. */
export class ByteSet {
  static readonly none = new ByteSet(new Uint32Array(8));
  static readonly all = ByteSet.ranges([0, 255]);
  readonly #words: Uint32Array;
  #key: string | undefined;

  private constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** @param ranges the first and last byte of each */
  static ranges(...ranges: readonly (readonly [from: number, to: number])[]): ByteSet {
    return ByteSet.where((byte) => ranges.some(([from, to]) => from <= byte && byte <= to));
  }

  static where(holds: (byte: number) => boolean): ByteSet {
    const words = new Uint32Array(8);
    for (let byte = 0; byte < 256; byte++) if (holds(byte)) words[byte >> 5]! |= 1 << (byte & 31);
    return new ByteSet(words);
  }

  static of(bytes: Iterable<number>): ByteSet {
    const words = new Uint32Array(8);
    for (const byte of bytes) words[byte >> 5]! |= 1 << (byte & 31);
    return new ByteSet(words);
  }

  has(byte: number): boolean {
    return ((this.#words[byte >> 5]! >>> (byte & 31)) & 1) === 1;
  }

  get isEmpty(): boolean {
    return this.#words.every((word) => word === 0);
  }

  /** Equal sets have equal keys. */
  get key(): string {
    return (this.#key ??= this.#words.join(","));
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
 * The coarsest partition of the 256 bytes that splits no set: bytes of one class behave alike.
 *
 * @returns the class of each byte, and one byte of each class
 */
export function byteClasses(sets: Iterable<ByteSet>): { classOf: Uint8Array; examples: number[] } {
  const split = new Int32Array(256);
  let count = 1;
  for (const set of sets) {
    // The bytes of each class that are in the set become a new class.
    const moved = new Map<number, number>();
    for (const byte of set) {
      const old = split[byte]!;
      let own = moved.get(old);
      if (own === undefined) moved.set(old, (own = count++));
      split[byte] = own;
    }
  }
  const classOf = new Uint8Array(256);
  const examples: number[] = [];
  const numbers = new Map<number, number>();
  for (let byte = 0; byte < 256; byte++) {
    let number = numbers.get(split[byte]!);
    if (number === undefined) {
      numbers.set(split[byte]!, (number = examples.length));
      examples.push(byte);
    }
    classOf[byte] = number;
  }
  return { classOf, examples };
}
