import { ASCII_WORD_SLACK } from "./ascii-words.js";
import { PRETOKEN_LOOKAHEAD } from "./pretokenize.js";

/** Number of UTF-8 bytes in the window; larger only for a longer pre-token. */
const WINDOW = 1 << 16;

/** Number of bytes that can be read past the end of the window. */
const SLACK = ASCII_WORD_SLACK;

/**
 * Passes a text of any length through a small window of UTF-8. (Naively all of it is encoded first, which takes as much memory
 * again.) The caller advances `position` over pre-tokens, stops at one that ends after `sure`, and refills the window:
 *
 *     reader.openText(text);
 *     while (reader.fill()) {
 *       for (let end; reader.position < reader.limit; reader.position = end) {
 *         end = pretokenEnd(reader.bytes, reader.position, reader.limit);
 *         if (end > reader.sure) break;
 *         …
 *       }
 *     }
 */
export class PretokenReader {
  bytes = new Uint8Array(WINDOW + SLACK);
  view = new DataView(this.bytes.buffer);
  /** Start of the next pre-token. */
  position = 0;
  /** End of the text in the window. */
  limit = 0;
  /** Pre-tokens that end at or before this are final. */
  sure = 0;
  #text: string | Uint8Array = "";
  /** Number of code units, or bytes, taken from the text so far. */
  #taken = 0;

  /** Opens a text. Lone surrogates become U+FFFD, as in TextEncoder. */
  openText(text: string): void {
    this.#open(text);
  }

  openBytes(utf8: Uint8Array): void {
    this.#open(utf8);
  }

  #open(text: string | Uint8Array): void {
    if (this.bytes.length > 16 * WINDOW) this.#setWindow(new Uint8Array(WINDOW + SLACK));
    this.#text = text;
    this.position = this.limit = this.sure = this.#taken = 0;
  }

  /** Moves the bytes from `position` on to the window's start and appends more of the text; returns false at the text's end. */
  fill(): boolean {
    const text = this.#text;
    if (this.#taken === text.length) {
      this.#text = "";
      this.#taken = 0;
      return false;
    }
    const kept = this.limit - this.position;
    // Four times the size of a long word, so that it is scanned only a few times.
    if (2 * kept > this.bytes.length) this.#setWindow(new Uint8Array(4 * kept + SLACK));
    else this.bytes.copyWithin(0, this.position, this.limit);
    const room = this.bytes.subarray(kept, this.bytes.length - SLACK);
    this.limit = kept + (typeof text === "string" ? this.#takeText(text, room) : this.#takeBytes(text, room));
    this.sure = this.#taken === text.length ? this.limit : this.limit - PRETOKEN_LOOKAHEAD;
    this.position = 0;
    return true;
  }

  #takeText(text: string, room: Uint8Array): number {
    let end = Math.min(this.#taken + room.length, text.length);
    // Never between the two halves of a surrogate pair.
    if (end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end--;
    const part = end - this.#taken === text.length ? text : text.slice(this.#taken, end);
    const { read, written } = encoder.encodeInto(part, room);
    this.#taken += read;
    return written;
  }

  #takeBytes(utf8: Uint8Array, room: Uint8Array): number {
    let end = Math.min(this.#taken + room.length, utf8.length);
    // Never inside a character; invalid UTF-8 may be cut anywhere.
    for (let i = 0; i < 3 && end < utf8.length && (utf8[end]! & 0xc0) === 0x80; i++) end--;
    room.set(utf8.subarray(this.#taken, end));
    const written = end - this.#taken;
    this.#taken = end;
    return written;
  }

  /** Moves the rest of the window to the start of a new one. */
  #setWindow(window: Uint8Array<ArrayBuffer>): void {
    window.set(this.bytes.subarray(this.position, this.limit));
    this.bytes = window;
    this.view = new DataView(window.buffer);
  }
}

const encoder = new TextEncoder();
