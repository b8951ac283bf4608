/**
 * Text as the paper's overlap study has it ("Generalization vs Memorization"): lower-cased alphanumeric words with a
 * single space between any two.
 */

/** Goes up when the same text would give other words: a filter of another version is refused. */
export const NORMALIZATION_VERSION = 1;

/** Letters and digits of any script, and the marks that belong to them. Apostrophes and hyphens divide words. */
const WORD = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu;

/** Text with what is only a matter of writing taken away: compatibility forms (ﬁ, full-width letters), then case. */
export function foldText(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

/** The words of a text. */
export function normalizedWords(text: string): string[] {
  return foldText(text).match(WORD) ?? [];
}

/** The words of a text, with a single space between any two. */
export function normalizeText(text: string): string {
  return normalizedWords(text).join(" ");
}

/** How a UTF-16 code unit counts. */
export const DELIMITER = 0;
export const WORD_CHARACTER = 1;
/** Belongs to a word that has begun, and begins none. */
export const MARK = 2;
/** Half of a character: ask {@link characterKind}. */
export const SURROGATE = 3;

/** How a whole character counts. */
export function characterKind(character: string): number {
  if (/[\p{L}\p{N}]/u.test(character)) return WORD_CHARACTER;
  return /\p{M}/u.test(character) ? MARK : DELIMITER;
}

let kinds: Uint8Array | undefined;

/** [65536] how each code unit counts. Made when first needed: that takes some milliseconds. */
export function unitKinds(): Uint8Array {
  kinds ??= Uint8Array.from({ length: 0x10000 }, (_, unit) => {
    return unit >= 0xd800 && unit <= 0xdfff ? SURROGATE : characterKind(String.fromCharCode(unit));
  });
  return kinds;
}

/** How many bytes are looked at first for the last words of a text. */
const WINDOW = 512;

/**
 * The last words of UTF-8 text, at most `count`: with them before it, text that goes on has the same n-grams as within
 * the whole.
 */
export function lastWords(utf8: Uint8Array, count: number): string[] {
  const decoder = new TextDecoder();
  for (let size = WINDOW; ; size *= 4) {
    const from = size >= utf8.length ? 0 : nextSpace(utf8, utf8.length - size);
    const words = normalizedWords(decoder.decode(utf8.subarray(from)));
    if (words.length >= count || from === 0) return words.slice(words.length - Math.min(count, words.length));
  }
}

/** The first place from `from` on where white space of ASCII stands, which no word contains; else the end. */
export function nextSpace(utf8: Uint8Array, from: number): number {
  let at = from;
  while (at < utf8.length && utf8[at] !== 0x20 && !(utf8[at]! >= 0x09 && utf8[at]! <= 0x0d)) at++;
  return at;
}

/**
 * What is looked up of an item of an evaluation, as the model reads it, with the right answer in its place: a text, or a
 * stretch of a longer one.
 */
export type ItemText = string | Stretch;

/** A stretch of a document; an n-gram belongs to the stretch it ends in. */
export interface Stretch {
  /** The document's UTF-8 up to the stretch. */
  readonly before: Uint8Array;
  readonly text: string;
}

/** The stretch of a document between two places, each moved on to white space, so that stretches cut no word. */
export function stretchOf(utf8: Uint8Array, from: number, to: number): Stretch {
  const start = from === 0 ? 0 : nextSpace(utf8, from);
  const end = nextSpace(utf8, to);
  return { before: utf8.subarray(0, start), text: new TextDecoder().decode(utf8.subarray(start, end)) };
}
