import { TokenizerError } from "../errors.js";
import type { Vocabulary } from "./vocabulary.js";

/** Maximum number of bytes joined at once; longer sequences are joined in pieces. */
const MOST_BYTES = 1 << 21;
/** For text the pieces are smaller, so that V8 allocates them among its young objects: four times as fast as large ones. */
const MOST_TEXT = 1 << 15;

/** Tokens are copied eight bytes at a time, past the ends of shorter ones. */
const SLACK = 8;

/** Fields of a token's record: its first eight bytes, its length, its offset. */
const FIRST = 0;
const SECOND = 1;
const LENGTH = 2;
const START = 3;

/**
 * The bytes of tokens, by id and for whole sequences. Naively a sequence is `concatenate(ids.map(of))`; here the eight
 * bytes and the length that suffice for most tokens are in one record, and are copied without a loop.
 */
export class TokenBytes {
  readonly #vocabulary: Vocabulary;
  readonly #modelVocabSize: number;
  readonly #offsets: Uint32Array;
  readonly #bytes: Uint8Array;
  #recordsIfMade: TokenRecords | undefined;
  /** The piece being joined; it grows to about {@link MOST_BYTES} and is kept. */
  #piece = new Uint8Array(1 << 12);
  #view = new DataView(this.#piece.buffer);
  /** Number of bytes in #piece. */
  #length = 0;

  /** @param modelVocabSize ids below this that have no token decode to nothing. */
  constructor(vocabulary: Vocabulary, modelVocabSize = 0) {
    this.#vocabulary = vocabulary;
    this.#modelVocabSize = modelVocabSize;
    this.#offsets = vocabulary.offsets;
    this.#bytes = vocabulary.bytes;
  }

  /** Built when first needed: single tokens do not need them. */
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
    const start = length === 0 ? 0 : this.#offsets[id]!;
    return this.#bytes.slice(start, start + length);
  }

  lengthOf(id: number): number {
    const index = id >>> 0;
    const inside = index === id && index < this.#vocabulary.size;
    // 0 for an id without a token.
    const length = inside ? this.#offsets[index + 1]! - this.#offsets[index]! : 0;
    if (length === 0) this.#checkWithoutToken(id);
    return length;
  }

  /** @throws {TokenizerError} `id` has no token, and is not one of the model's ids either. */
  #checkWithoutToken(id: number): void {
    const { size } = this.#vocabulary;
    if (Number.isInteger(id) && id >= 0 && id < this.#modelVocabSize) return;
    const inside = Number.isInteger(id) && id >= 0 && id < size;
    throw new TokenizerError({
      op: "decoding",
      expected: inside ? "the id of a token of this vocabulary" : `an id from 0 to ${size - 1}`,
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
   * Appends the bytes of ids from index `from` on to the first `held` bytes of #piece, up to about `most`; returns the
   * index of the first remaining id.
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
      // From here on the compiler sees integers, whatever the array holds.
      const index = id >>> 0;
      const length = index === id && index < size ? records[(index << 2) + LENGTH]! : 0;
      if (length === 0) {
        this.#checkWithoutToken(id);
        continue;
      }
      const record = index << 2;
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

/** The tables from which sequences are joined. */
interface TokenRecords {
  /** [ids × 4] one record for each token, so that most tokens cost one memory access. */
  readonly records: Int32Array;
  /** The vocabulary's bytes, with {@link SLACK}. */
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

/** Number of bytes at the end of `bytes[0, length)` that begin a character without completing it. */
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

/** Decodes a stream of ids: each character comes out whole, with the token that has its last byte. */
export class StreamDecoder {
  readonly #tokens: TokenBytes;
  #decoder = newDecoder();

  constructor(tokens: TokenBytes) {
    this.#tokens = tokens;
  }

  /**
   * The text that `id` completes; empty while a character is unfinished.
   *
   * @throws {TokenizerError} no token has this id.
   */
  push(id: number): string {
    return this.#decoder.decode(this.#tokens.of(id), { stream: true });
  }

  /** Returns the rest of the text: U+FFFD if a character is unfinished, else nothing. The decoder can then be reused. */
  flush(): string {
    const rest = this.#decoder.decode();
    this.#decoder = newDecoder();
    return rest;
  }
}

function newDecoder(): TextDecoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}
