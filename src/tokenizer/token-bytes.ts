import { TokenizerError } from "../errors.js";
import type { Vocabulary } from "./vocabulary.js";

/** Longer sequences of bytes are put together in pieces. */
const MOST_BYTES = 1 << 21;
/** For text smaller ones, which V8 makes among its young objects: that is four times as fast as among the large. */
const MOST_TEXT = 1 << 15;

/** Tokens are copied eight bytes at once, past their ends where they are shorter. */
const SLACK = 8;

/** Fields of a token's record: its first eight bytes, how many it has, where all of them are. */
const FIRST = 0;
const SECOND = 1;
const LENGTH = 2;
const START = 3;

/** The bytes of tokens, by id and for whole sequences. */
export class TokenBytes {
  readonly #vocabulary: Vocabulary;
  readonly #offsets: Uint32Array;
  readonly #bytes: Uint8Array;
  #recordsIfMade: TokenRecords | undefined;
  /** Where sequences are put together; grows to about {@link MOST_BYTES} and is kept. */
  #piece = new Uint8Array(1 << 12);
  #view = new DataView(this.#piece.buffer);
  /** Bytes in #piece. */
  #length = 0;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#offsets = vocabulary.offsets;
    this.#bytes = vocabulary.bytes;
  }

  /** Made when first needed: for single tokens the vocabulary does. */
  get #records(): TokenRecords {
    this.#recordsIfMade ??= makeRecords(this.#vocabulary);
    return this.#recordsIfMade;
  }

  /** Bytes of the longest token. */
  get longest(): number {
    return this.#records.longest;
  }

  of(id: number): Uint8Array {
    const length = this.lengthOf(id);
    const start = this.#offsets[id]!;
    return this.#bytes.slice(start, start + length);
  }

  lengthOf(id: number): number {
    const index = id >>> 0;
    const inside = index === id && index < this.#vocabulary.size;
    // 0 where no token has the id.
    const length = inside ? this.#offsets[index + 1]! - this.#offsets[index]! : 0;
    if (length === 0) this.#refuse(id);
    return length;
  }

  #refuse(id: number): never {
    const { size } = this.#vocabulary;
    const inside = Number.isInteger(id) && id >= 0 && id < size;
    throw new TokenizerError({
      op: "decoding",
      expected: inside ? "an id that a token of this vocabulary has" : `an id from 0 to ${size - 1}`,
      got: String(id),
    });
  }

  bytesOf(ids: ArrayLike<number>): Uint8Array {
    const pieces: Uint8Array[] = [];
    for (let next = 0; next < ids.length; ) {
      next = this.#fill(ids, next, 0, MOST_BYTES);
      pieces.push(this.#piece.slice(0, this.#length));
    }
    return pieces.length === 1 ? pieces[0]! : concatenate(pieces);
  }

  textOf(ids: ArrayLike<number>): string {
    let text = "";
    let held = 0;
    for (let next = 0; next < ids.length; ) {
      next = this.#fill(ids, next, held, MOST_TEXT);
      held = next < ids.length ? unfinishedBytes(this.#piece, this.#length) : 0;
      const whole = this.#length - held;
      text += decoder.decode(this.#piece.subarray(0, whole));
      this.#piece.copyWithin(0, whole, this.#length);
    }
    return text;
  }

  /**
   * Puts the bytes of ids from index `from` on behind the first `held` bytes of #piece, until there are more than `most`;
   * returns the first index left.
   */
  #fill(ids: ArrayLike<number>, from: number, held: number, most: number): number {
    const { records, bytes } = this.#records;
    const size = records.length >> 2;
    let target = this.#view;
    let room = Math.min(most, target.byteLength - SLACK);
    let at = held;
    let i = from;
    for (; i < ids.length; i++) {
      const id = ids[i]!;
      // Integers to the compiler from here on, whatever the array holds.
      const index = id >>> 0;
      if (index !== id || index >= size) this.#refuse(id);
      const record = index << 2;
      const length = records[record + LENGTH]!;
      if (length === 0) this.#refuse(id);
      if (at + length > room) {
        if (at >= most) break;
        target = this.#makeRoom(at + length);
        room = Math.min(most, target.byteLength - SLACK);
      }
      target.setInt32(at, records[record + FIRST]!, true);
      target.setInt32(at + 4, records[record + SECOND]!, true);
      if (length > 8) copyBytes(bytes, records[record + START]! + 8, length - 8, this.#piece, at + 8);
      at += length;
    }
    this.#length = at;
    return i;
  }

  #makeRoom(length: number): DataView<ArrayBuffer> {
    if (length + SLACK > this.#piece.length) {
      const larger = new Uint8Array(2 * length + SLACK);
      larger.set(this.#piece);
      this.#piece = larger;
      this.#view = new DataView(larger.buffer);
    }
    return this.#view;
  }
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function copyBytes(from: Uint8Array, start: number, count: number, to: Uint8Array, at: number): void {
  for (let i = 0; i < count; i++) to[at + i] = from[start + i]!;
}

/** What sequences are put together from. */
interface TokenRecords {
  /** [ids × 4] one record a token, so that most tokens cost one access to memory. */
  readonly records: Int32Array;
  /** The vocabulary's, with {@link SLACK}. */
  readonly bytes: Uint8Array;
  /** Bytes of the longest token. */
  readonly longest: number;
}

function makeRecords({ bytes, offsets, size }: Vocabulary): TokenRecords {
  const padded = new Uint8Array(bytes.length + SLACK);
  padded.set(bytes);
  const records = new Int32Array(4 * size);
  return { records, bytes: padded, longest: fillRecords(records, offsets, new DataView(padded.buffer)) };
}

/** Fills in the records of all tokens; returns the length of the longest. */
function fillRecords(records: Int32Array, offsets: Uint32Array, bytes: DataView): number {
  let longest = 0;
  for (let id = 0, record = 0; record < records.length; id++, record += 4) {
    const start = offsets[id]!;
    const length = offsets[id + 1]! - start;
    records[record + FIRST] = bytes.getInt32(start, true);
    records[record + SECOND] = bytes.getInt32(start + 4, true);
    records[record + LENGTH] = length;
    records[record + START] = start;
    if (length > longest) longest = length;
  }
  return longest;
}

/** Bytes at the end of `bytes[0, length)` that begin a character and do not end it. */
function unfinishedBytes(bytes: Uint8Array, length: number): number {
  for (let n = 1; n <= 3 && n <= length; n++) {
    const byte = bytes[length - n]!;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return needed > n ? n : 0;
  }
  return 0;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
