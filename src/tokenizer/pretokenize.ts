import { classOf, OTHER, SPACE } from "./unicode-classes.js";

/**
 * GPT-2's pre-tokenizer. Naively (`\s` being Unicode White_Space):
 *
 *     text.match(/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu)
 *
 * Here the pattern is coded by hand over UTF-8 bytes, without a string for each word. Every byte belongs to exactly one
 * pre-token, so only the end of each has to be found.
 */

const SPACE_BYTE = 0x20;
const APOSTROPHE = 0x27;

/** Class of an ASCII byte; for others a value that equals no class. */
const NOT_ASCII = 255;
const BYTE_CLASS = new Uint8Array(256).fill(NOT_ASCII);
for (let c = 0; c < 128; c++) BYTE_CLASS[c] = classOf(c);

/** Number of bytes after a pre-token's end that decide whether it ends there: after `'` the two letters of `'re` may follow. */
export const PRETOKEN_LOOKAHEAD = 2;

/**
 * End of the pre-token that starts at `pos`, for `pos < limit`. The text is `bytes[0, limit)` in UTF-8; invalid bytes are
 * single characters that are neither letters, numbers nor white space. If the text continues after `limit`, an end beyond
 * `limit - PRETOKEN_LOOKAHEAD` is not final.
 */
export function pretokenEnd(bytes: Uint8Array, pos: number, limit: number): number {
  let first = pos;
  let c = bytes[pos]!;
  if (c === SPACE_BYTE) {
    if (++first === limit) return limit;
    c = bytes[first]!;
  } else if (c === APOSTROPHE) {
    const n = contractionLength(bytes, pos, limit);
    if (n !== 0) return pos + n;
  }
  const kind = c < 128 ? BYTE_CLASS[c]! : classAt(bytes, first, limit);
  return kind === SPACE ? spaceEnd(bytes, pos, limit) : runEnd(bytes, first, limit, kind);
}

/**
 * End of a pre-token that began before `pos`, where a `'` begins no contraction. At least two of its characters must be
 * left.
 */
export function pretokenRest(bytes: Uint8Array, pos: number, limit: number): number {
  const kind = classAt(bytes, pos, limit);
  return kind === SPACE ? spaceEnd(bytes, pos, limit) : runEnd(bytes, pos, limit, kind);
}

/** End of the run of characters of class `kind` from `pos` on. */
function runEnd(bytes: Uint8Array, pos: number, limit: number, kind: number): number {
  let i = pos;
  for (;;) {
    while (i < limit && BYTE_CLASS[bytes[i]!] === kind) i++;
    if (i === limit || bytes[i]! < 128 || classAt(bytes, i, limit) !== kind) return i;
    i = charEnd(bytes, i, limit);
  }
}

/** Length of `'s 't 're 've 'm 'll 'd` at `pos`, or 0. */
function contractionLength(bytes: Uint8Array, pos: number, limit: number): number {
  const a = pos + 1 < limit ? bytes[pos + 1]! : 0;
  if (a === 0x73 || a === 0x74 || a === 0x6d || a === 0x64) return 2;
  const b = pos + 2 < limit ? bytes[pos + 2]! : 0;
  if ((a === 0x72 || a === 0x76) && b === 0x65) return 3;
  return a === 0x6c && b === 0x6c ? 3 : 0;
}

/** `\s+(?!\S)|\s+`: a run of white space excludes its last character, unless that is its only one or the text ends there. */
function spaceEnd(bytes: Uint8Array, pos: number, limit: number): number {
  let last = pos;
  let i = pos;
  do {
    last = i;
    i = charEnd(bytes, i, limit);
    if (i === limit) return i;
  } while (classAt(bytes, i, limit) === SPACE);
  return last === pos ? i : last;
}

/** End of the character at `i`; an invalid byte is a character of its own. */
function charEnd(bytes: Uint8Array, i: number, limit: number): number {
  const c = bytes[i]!;
  if (c < 0xc2) return i + 1;
  const end = i + (c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1);
  if (end > limit) return i + 1;
  for (let j = i + 1; j < end; j++) if ((bytes[j]! & 0xc0) !== 0x80) return i + 1;
  return end;
}

function classAt(bytes: Uint8Array, i: number, limit: number): number {
  const c = bytes[i]!;
  if (c < 128) return BYTE_CLASS[c]!;
  switch (charEnd(bytes, i, limit) - i) {
    case 2:
      return classOf(((c & 0x1f) << 6) | (bytes[i + 1]! & 0x3f));
    case 3:
      return classOf(((c & 0x0f) << 12) | ((bytes[i + 1]! & 0x3f) << 6) | (bytes[i + 2]! & 0x3f));
    case 4: {
      const high = ((c & 0x07) << 18) | ((bytes[i + 1]! & 0x3f) << 12);
      const codePoint = high | ((bytes[i + 2]! & 0x3f) << 6) | (bytes[i + 3]! & 0x3f);
      return codePoint < 0x110000 ? classOf(codePoint) : OTHER;
    }
    default:
      return OTHER;
  }
}

/** The pre-tokens of a text, as strings; the encoder does not use this. */
export function pretokenize(text: string): string[] {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const words: string[] = [];
  for (let pos = 0, end = 0; pos < bytes.length; pos = end) {
    end = pretokenEnd(bytes, pos, bytes.length);
    words.push(decoder.decode(bytes.subarray(pos, end)));
  }
  return words;
}
