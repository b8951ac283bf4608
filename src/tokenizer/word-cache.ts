/** Maximum length, in bytes, of a cached word. */
const LONGEST = 64;
const SLOTS = 1 << 16;
const MOST_WORDS = SLOTS >> 1;
/** Number of slots probed before a word counts as absent, so that no set of words makes a look-up slow. */
const PROBES = 16;

/** Number of a word's bytes that fit into the slot itself. */
const INLINE = 8;
/** Masks for the first and the second four bytes of a word of 0 to 8 bytes. */
const FIRST_MASK = Int32Array.of(0, 0xff, 0xffff, 0xffffff, -1, -1, -1, -1, -1);
const SECOND_MASK = Int32Array.of(0, 0, 0, 0, 0, 0xff, 0xffff, 0xffffff, -1);

/**
 * Fields of a slot. KEY_A and KEY_B hold a word of up to 8 bytes itself, padded with zeros; for a longer word KEY_A is a
 * hash and KEY_B the offset of its bytes.
 */
const KEY_A = 0;
const KEY_B = 1;
/** Length of the word in bytes << 16 | number of ids; 0 in an empty slot. */
const SIZES = 2;
/** Offset of the ids, or the id itself if there is only one. */
const IDS = 3;

/**
 * A cache of the ids of words. Naively a `Map<string, number[]>`; here open addressing in flat arrays of fixed size (3 MiB),
 * without strings or objects. When it is full it is cleared, which costs less than tracking use.
 *
 * Words are read through a DataView eight bytes at a time, so eight bytes must be readable from the start of each.
 */
export class WordCache {
  readonly #slots = new Int32Array(4 * SLOTS);
  readonly #bytes = new DataView(new ArrayBuffer(MOST_WORDS * 16));
  readonly #ids = new Uint32Array(MOST_WORDS * 8);
  #words = 0;
  #bytesUsed = 0;
  #idsUsed = 0;
  /** After a miss: the slot for {@link add}, or -1 if the word can't be cached, and its keys. */
  #free = -1;
  #keyA = 0;
  #keyB = 0;

  /** Writes the ids of the word `view[start, end)` to `out` from `at` on and returns their number; -1 after a miss. */
  copy(view: DataView, start: number, end: number, out: Uint32Array, at: number): number {
    const length = end - start;
    if (length > INLINE) return this.#copyLong(view, start, end, out, at);
    const slots = this.#slots;
    const a = view.getInt32(start, true) & FIRST_MASK[length]!;
    const b = view.getInt32(start + 4, true) & SECOND_MASK[length]!;
    let slot = shortSlot(a, b, length);
    for (let probe = 0; probe < PROBES; probe++) {
      const sizes = slots[slot + SIZES]!;
      if (slots[slot + KEY_A] === a && slots[slot + KEY_B] === b && sizes >>> 16 === length) {
        if ((sizes & 0xffff) !== 1) return this.#copyIds(slot, out, at);
        out[at] = slots[slot + IDS]!;
        return 1;
      }
      if (sizes === 0) return this.#miss(slot, a, b);
      slot = (slot + 4) & (4 * SLOTS - 1);
    }
    return this.#miss(-1, a, b);
  }

  #copyLong(view: DataView, start: number, end: number, out: Uint32Array, at: number): number {
    const length = end - start;
    if (length > LONGEST) return this.#miss(-1, 0, 0);
    const slots = this.#slots;
    const hash = hashLong(view, start, end);
    let slot = slotOf(hash);
    for (let probe = 0; probe < PROBES; probe++) {
      const sizes = slots[slot + SIZES]!;
      if (sizes === 0) return this.#miss(slot, hash, 0);
      const found = slots[slot + KEY_A] === hash && sizes >>> 16 === length;
      if (found && this.#equals(slots[slot + KEY_B]!, view, start, end)) return this.#copyIds(slot, out, at);
      slot = (slot + 4) & (4 * SLOTS - 1);
    }
    return this.#miss(-1, hash, 0);
  }

  #miss(slot: number, keyA: number, keyB: number): -1 {
    this.#free = slot;
    this.#keyA = keyA;
    this.#keyB = keyB;
    return -1;
  }

  /** Compares a long word four bytes at a time; the last four may overlap those before. */
  #equals(from: number, view: DataView, start: number, end: number): boolean {
    const kept = this.#bytes;
    for (let i = start; i < end - 4; i += 4) {
      if (view.getInt32(i, true) !== kept.getInt32(from + i - start, true)) return false;
    }
    return view.getInt32(end - 4, true) === kept.getInt32(from + end - 4 - start, true);
  }

  #copyIds(slot: number, out: Uint32Array, at: number): number {
    const count = this.#slots[slot + SIZES]! & 0xffff;
    const from = this.#slots[slot + IDS]!;
    if (count === 1) out[at] = from;
    else for (let i = 0; i < count; i++) out[at + i] = this.#ids[from + i]!;
    return count;
  }

  /** Adds the word that {@link copy} has just missed, with its ids `ids[at, at + count)`. */
  add(view: DataView, start: number, end: number, ids: Uint32Array, at: number, count: number): void {
    if (this.#free < 0) return;
    const length = end - start;
    const bytesFit = this.#bytesUsed + length <= this.#bytes.byteLength;
    if (this.#words === MOST_WORDS || !bytesFit || this.#idsUsed + count > this.#ids.length) {
      this.clear();
      // All slots are now free, and so is the word's first.
      this.#free = length > INLINE ? slotOf(this.#keyA) : shortSlot(this.#keyA, this.#keyB, length);
    }
    if (length > INLINE) {
      for (let i = 0; i < length; i++) this.#bytes.setUint8(this.#bytesUsed + i, view.getUint8(start + i));
      this.#keyB = this.#bytesUsed;
      this.#bytesUsed += length;
    }
    const slots = this.#slots;
    const slot = this.#free;
    slots[slot + KEY_A] = this.#keyA;
    slots[slot + KEY_B] = this.#keyB;
    slots[slot + SIZES] = (length << 16) | count;
    slots[slot + IDS] = count === 1 ? ids[at]! : this.#idsUsed;
    if (count > 1) for (let i = 0; i < count; i++) this.#ids[this.#idsUsed++] = ids[at + i]!;
    this.#words++;
  }

  clear(): void {
    this.#slots.fill(0);
    this.#words = this.#bytesUsed = this.#idsUsed = 0;
  }
}

/** First slot to probe for a hash. */
function slotOf(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) & (SLOTS - 1)) << 2;
}

function shortSlot(a: number, b: number, length: number): number {
  return slotOf(Math.imul(a, 0x9e3779b1) ^ Math.imul(b + length, 0x85ebca6b));
}

/** Hash of more than 8 bytes, four at a time; the last four may overlap those before. */
function hashLong(view: DataView, start: number, end: number): number {
  let h = end - start;
  for (let i = start; i < end - 4; i += 4) {
    h = Math.imul(h ^ view.getInt32(i, true), 0x9e3779b1);
    h ^= h >>> 15;
  }
  return Math.imul(h ^ view.getInt32(end - 4, true), 0x85ebca6b);
}
