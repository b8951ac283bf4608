/** Hash of `bytes[start, end)`, four bytes per step. */
export function hashSpan(bytes: Uint8Array, start: number, end: number): number {
  let h = end - start;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    h = Math.imul(h ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)), 0x9e3779b1);
    h ^= h >>> 15;
  }
  for (; i < end; i++) h = Math.imul(h ^ bytes[i]!, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Interned byte strings: each distinct string gets a number, from 0 in the order of first occurrence. A hash table in flat arrays. */
export class SpanTable {
  /** Number of strings. */
  size = 0;
  /** Bytes of all strings, one after another. */
  bytes = new Uint8Array(1 << 16);
  /** String `i` is `bytes[offsets[i], offsets[i + 1])`. */
  offsets = new Float64Array(1 << 12);
  #hashes = new Int32Array(1 << 12);
  /** Number of a string plus 1, or 0; open addressing, at most half full. */
  #slots = new Int32Array(1 << 13);

  /** The number of the string `source[start, end)`; a new number at its first occurrence. */
  intern(source: Uint8Array, start: number, end: number): number {
    const hash = hashSpan(source, start, end);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let entry = 0; (entry = this.#slots[slot]!) !== 0; slot = (slot + 1) & mask) {
      if (this.#hashes[entry - 1] === hash && this.#equals(entry - 1, source, start, end)) return entry - 1;
    }
    return this.#add(slot, hash, source, start, end);
  }

  #equals(number: number, source: Uint8Array, start: number, end: number): boolean {
    const from = this.offsets[number]!;
    if (this.offsets[number + 1]! - from !== end - start) return false;
    for (let i = start; i < end; i++) if (this.bytes[from + i - start] !== source[i]) return false;
    return true;
  }

  #add(slot: number, hash: number, source: Uint8Array, start: number, end: number): number {
    const number = this.size++;
    const from = this.offsets[number]!;
    const to = from + end - start;
    while (to > this.bytes.length) this.bytes = grown(this.bytes, new Uint8Array(2 * this.bytes.length));
    this.bytes.set(source.subarray(start, end), from);
    if (number + 1 === this.#hashes.length) this.#grow();
    this.offsets[number + 1] = to;
    this.#hashes[number] = hash;
    if (2 * this.size > this.#slots.length) this.#rehash();
    else this.#slots[slot] = number + 1;
    return number;
  }

  #grow(): void {
    const length = 2 * this.#hashes.length;
    this.#hashes = grown(this.#hashes, new Int32Array(length));
    this.offsets = grown(this.offsets, new Float64Array(length));
  }

  #rehash(): void {
    const slots = new Int32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let i = 0; i < this.size; i++) {
      let slot = this.#hashes[i]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = i + 1;
    }
    this.#slots = slots;
  }
}

function grown<T extends Uint8Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
