import { hashSpan } from "./span-table.js";

/** Words of more bytes are not kept. */
const LONGEST = 64;
const SLOTS = 1 << 16;
const MOST_WORDS = SLOTS >> 1;
/** Slots looked at before a word counts as absent, so that no choice of words makes a look-up slow. */
const PROBES = 16;

/** Fields of a slot; a slot whose SIZES is 0 is empty. */
const HASH = 0;
/** Where the word's bytes start. */
const BYTES = 1;
/** Its bytes << 16 | its ids. */
const SIZES = 2;
/** Where its ids start, or the id itself if it is only one. */
const IDS = 3;

/**
 * Ids of words met before, in flat arrays of fixed size: 3 MiB whatever is encoded. When it is full it starts again
 * from empty, which costs less than remembering what was used when.
 */
export class WordCache {
  readonly #slots = new Int32Array(4 * SLOTS);
  readonly #bytes = new Uint8Array(MOST_WORDS * 16);
  readonly #ids = new Uint32Array(MOST_WORDS * 8);
  #words = 0;
  #bytesUsed = 0;
  #idsUsed = 0;
  /** After a miss: the slot that {@link add} fills, or -1 if the word is not to be kept. */
  #free = -1;
  #hash = 0;

  /** Writes the word's ids to `out` from `at` and returns how many; -1 if it is not here. */
  copy(bytes: Uint8Array, start: number, end: number, out: Uint32Array, at: number): number {
    const slots = this.#slots;
    const length = end - start;
    this.#free = -1;
    if (length > LONGEST) return -1;
    const hash = hashSpan(bytes, start, end);
    let slot = (hash & (SLOTS - 1)) << 2;
    for (let probe = 0; probe < PROBES; probe++) {
      const sizes = slots[slot + SIZES]!;
      if (sizes === 0) {
        this.#free = slot;
        this.#hash = hash;
        return -1;
      }
      if (
        slots[slot + HASH] === hash &&
        sizes >>> 16 === length &&
        this.#equals(slots[slot + BYTES]!, bytes, start, end)
      ) {
        const count = sizes & 0xffff;
        if (count === 1) out[at] = slots[slot + IDS]!;
        else this.#copyIds(slots[slot + IDS]!, count, out, at);
        return count;
      }
      slot = (slot + 4) & (4 * SLOTS - 1);
    }
    return -1;
  }

  #equals(from: number, bytes: Uint8Array, start: number, end: number): boolean {
    const kept = this.#bytes;
    for (let i = start, j = from; i < end; i++, j++) if (kept[j] !== bytes[i]) return false;
    return true;
  }

  #copyIds(from: number, count: number, out: Uint32Array, at: number): void {
    for (let i = 0; i < count; i++) out[at + i] = this.#ids[from + i]!;
  }

  /** Keeps the word that {@link copy} just missed, with its ids `ids[at, at + count)`. */
  add(bytes: Uint8Array, start: number, end: number, ids: Uint32Array, at: number, count: number): void {
    if (this.#free < 0) return;
    const length = end - start;
    const full =
      this.#words === MOST_WORDS ||
      this.#bytesUsed + length > this.#bytes.length ||
      this.#idsUsed + count > this.#ids.length;
    if (full) {
      this.#slots.fill(0);
      this.#words = this.#bytesUsed = this.#idsUsed = 0;
      this.#free = (this.#hash & (SLOTS - 1)) << 2;
    }
    const slots = this.#slots;
    const slot = this.#free;
    slots[slot + HASH] = this.#hash;
    slots[slot + BYTES] = this.#bytesUsed;
    slots[slot + SIZES] = (length << 16) | count;
    for (let i = 0; i < length; i++) this.#bytes[this.#bytesUsed + i] = bytes[start + i]!;
    this.#bytesUsed += length;
    this.#words++;
    if (count === 1) {
      slots[slot + IDS] = ids[at]!;
      return;
    }
    slots[slot + IDS] = this.#idsUsed;
    for (let i = 0; i < count; i++) this.#ids[this.#idsUsed + i] = ids[at + i]!;
    this.#idsUsed += count;
  }
}
