/**
 * Normalized text of the paper's overlap study ("Generalization vs Memorization"): lower-cased alphanumeric words separated
 * by single spaces.
 */

/** Incremented when the same text would give other words; filters of other versions are refused. */
export const NORMALIZATION_VERSION = 1;

/** Letters and digits of any script, and their combining marks. Apostrophes and hyphens separate words. */
const WORD = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu;

/** Text without compatibility forms (ﬁ, full-width letters) and case. */
export function foldText(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

/** The words of a text. */
export function normalizedWords(text: string): string[] {
  return foldText(text).match(WORD) ?? [];
}

/** The words of a text, separated by single spaces. */
export function normalizeText(text: string): string {
  return normalizedWords(text).join(" ");
}

/** Classes of UTF-16 code units. */
export const DELIMITER = 0;
export const WORD_CHARACTER = 1;
/** Continues a word, and starts none. */
export const MARK = 2;
/** Half of a surrogate pair: {@link characterKind} of the whole decides. */
export const SURROGATE = 3;

/** Class of a whole character. */
export function characterKind(character: string): number {
  if (/[\p{L}\p{N}]/u.test(character)) return WORD_CHARACTER;
  return /\p{M}/u.test(character) ? MARK : DELIMITER;
}

let kinds: Uint8Array | undefined;

/** [65536] class of each code unit. Computed on first use, which takes some milliseconds. */
export function unitKinds(): Uint8Array {
  kinds ??= Uint8Array.from({ length: 0x10000 }, (_, unit) => {
    return unit >= 0xd800 && unit <= 0xdfff ? SURROGATE : characterKind(String.fromCharCode(unit));
  });
  return kinds;
}

/** Bytes searched first for the last words of a text. */
const WINDOW = 512;

/**
 * The last words of UTF-8 text, at most `count`: with these before it, a continuation has the same n-grams as in the whole
 * text.
 */
export function lastWords(utf8: Uint8Array, count: number): string[] {
  const decoder = new TextDecoder();
  for (let size = WINDOW; ; size *= 4) {
    const from = size >= utf8.length ? 0 : nextSpace(utf8, utf8.length - size);
    const words = normalizedWords(decoder.decode(utf8.subarray(from)));
    if (words.length >= count || from === 0) return words.slice(words.length - Math.min(count, words.length));
  }
}

/** Position of the first ASCII white space from `from` on, which no word contains; else the end. */
export function nextSpace(utf8: Uint8Array, from: number): number {
  let at = from;
  while (at < utf8.length && utf8[at] !== 0x20 && !(utf8[at]! >= 0x09 && utf8[at]! <= 0x0d)) at++;
  return at;
}

/**
 * The text of an evaluation's item that is looked up, with the right answer filled in: whole, or a stretch of a longer
 * text.
 */
export type ItemText = string | Stretch;

/** A stretch of a document. An n-gram belongs to the stretch that it ends in. */
export interface Stretch {
  /** UTF-8 of the document before the stretch. */
  readonly before: Uint8Array;
  readonly text: string;
}

/** The stretch of a document between two byte positions, each moved to the next white space so that no word is cut. */
export function stretchOf(utf8: Uint8Array, from: number, to: number): Stretch {
  const start = from === 0 ? 0 : nextSpace(utf8, from);
  const end = nextSpace(utf8, to);
  return { before: utf8.subarray(0, start), text: new TextDecoder().decode(utf8.subarray(start, end)) };
}
