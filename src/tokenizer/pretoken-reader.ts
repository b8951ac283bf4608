import { PRETOKEN_LOOKAHEAD, pretokenEnd } from "./pretokenize.js";

/** UTF-16 code units turned into UTF-8 at a time; a unit is at most three bytes. */
const CHUNK = 1 << 15;

/**
 * Walks the pre-tokens of a text of any length through a small window of UTF-8:
 *
 *     reader.openText(text);
 *     while (reader.next()) use(reader.bytes, reader.start, reader.end);
 */
export class PretokenReader {
  /** The pre-token is `bytes[start, end)`, valid until the next call. */
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  readonly #encoder = new TextEncoder();
  /** Kept between texts, unless one long word made it large. */
  #window: Uint8Array = EMPTY;
  #text = "";
  #textAt = 0;
  #limit = 0;
  /** Pre-tokens that end at or before this are final. */
  #sure = 0;

  /** Lone surrogates read as U+FFFD, as TextEncoder has it. */
  openText(text: string): void {
    if (this.#window.length === 0 || this.#window.length > 8 * CHUNK) this.#window = new Uint8Array(4 * CHUNK);
    this.bytes = this.#window;
    this.start = this.end = this.#limit = this.#sure = this.#textAt = 0;
    this.#text = text;
  }

  openBytes(utf8: Uint8Array): void {
    this.bytes = utf8;
    this.start = this.end = this.#textAt = 0;
    this.#text = "";
    this.#limit = this.#sure = utf8.length;
  }

  /** Moves to the next pre-token; false after the last. */
  next(): boolean {
    const start = this.end;
    if (start < this.#limit) {
      const end = pretokenEnd(this.bytes, start, this.#limit);
      if (end <= this.#sure) {
        this.start = start;
        this.end = end;
        return true;
      }
    }
    return this.#refill(start) && this.next();
  }

  /** Drops the bytes before `start`, appends a chunk of the text; false if there is no more. */
  #refill(start: number): boolean {
    const text = this.#text;
    if (this.#textAt === text.length) {
      this.#text = "";
      this.#textAt = 0;
      return false;
    }
    const kept = this.#limit - start;
    if (kept + 3 * CHUNK > this.#window.length) {
      const larger = new Uint8Array(2 * this.#window.length);
      larger.set(this.#window.subarray(start, this.#limit));
      this.bytes = this.#window = larger;
    } else {
      this.#window.copyWithin(0, start, this.#limit);
    }
    let to = Math.min(this.#textAt + CHUNK, text.length);
    if (to < text.length && (text.charCodeAt(to - 1) & 0xfc00) === 0xd800) to--;
    const chunk = this.#textAt === 0 && to === text.length ? text : text.slice(this.#textAt, to);
    const { written } = this.#encoder.encodeInto(chunk, this.#window.subarray(kept));
    this.#textAt = to;
    this.#limit = kept + written;
    this.#sure = to === text.length ? this.#limit : this.#limit - PRETOKEN_LOOKAHEAD;
    this.start = this.end = 0;
    return true;
  }
}

const EMPTY = new Uint8Array(0);
