import { CLASS_RUNS, DECOMPOSED_RUNS, ORDERED_RUNS, YOUNG_LOWER_CASE } from "./unicode-tables.js";

/** BERT's normalizer (tokenizers' BertNormalizer, the first half of Google's BasicTokenizer). */
export interface NormalizerOptions {
  /** Drop control characters, and replace any kind of white space by a space. */
  readonly cleanText: boolean;
  /** Put spaces around Chinese characters, so that each is a word. */
  readonly chineseChars: boolean;
  /** Drop accents: decompose characters, then drop nonspacing marks. */
  readonly stripAccents: boolean;
  readonly lowercase: boolean;
  /** Whether to normalize like Google's own BasicTokenizer (normalize-legacy.ts) instead of the tokenizers library. */
  readonly legacy?: boolean;
}

/** A normalized text, and the position of each of its UTF-16 units in the original. */
export interface Normalized {
  readonly text: string;
  /** [units] start and end of each unit's source character. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Classes of code points. */
const OTHER = 0;
const DROPPED = 1;
const SPACE = 2;
const CHINESE = 3;
const PUNCTUATION = 4;
const MARK = 5;

const CLASSES = readRuns(CLASS_RUNS, "-DSCPM");
const DECOMPOSED = readRuns(DECOMPOSED_RUNS, "-N");
const ORDERED = readRuns(ORDERED_RUNS, "-N");
const YOUNG = new Map(
  YOUNG_LOWER_CASE.split(",").map((pair) => {
    const [upper, lower] = pair.split(":").map((code) => Number.parseInt(code, 36));
    return [upper!, String.fromCodePoint(lower!)];
  }),
);

function readRuns(runs: string, kinds: string): Uint8Array {
  const parsed = Array.from(runs.matchAll(/([0-9a-z]+)([-A-Z])/g), (run) => ({
    length: Number.parseInt(run[1]!, 36),
    kind: kinds.indexOf(run[2]!),
  }));
  const classes = new Uint8Array(parsed.reduce((sum, run) => sum + run.length, 0));
  let at = 0;
  for (const { length, kind } of parsed) classes.fill(kind, at, (at += length));
  return classes;
}

const classOf = (codePoint: number): number => CLASSES[codePoint] ?? OTHER;

/** Whether BERT counts the code point as punctuation: ASCII's symbols and Unicode's category P, in tokenizers' version. */
export const isPunctuation = (codePoint: number): boolean => classOf(codePoint) === PUNCTUATION;

/** Unicode's White_Space. Cleaning drops some of it, such as U+0085, before it could separate words. */
export function isWhiteSpace(codePoint: number): boolean {
  return classOf(codePoint) === SPACE || codePoint === 0x0b || codePoint === 0x0c || codePoint === 0x85;
}

/**
 * Normalizes a text. Naively, one pass over the whole text for each option:
 *
 *     text = text.filter((c) => !isControl(c)).map((c) => (isWhiteSpace(c) ? " " : c));
 *     text = text.replace(/Chinese/g, " $& ");
 *     text = text.normalize("NFD").replace(/\p{Mn}/gu, "");
 *     text = text.toLowerCase();
 *
 * Here it goes one character at a time, which gives each its position in the original. Classes, decompositions and lower case are
 * those of the tokenizers library, not of the JavaScript engine, whose version of Unicode varies.
 */
export function normalize(text: string, options: NormalizerOptions): Normalized {
  const chars = split(text, options);
  if (options.stripAccents) reorder(chars, isOrdered);
  const starts: number[] = [];
  const ends: number[] = [];
  let normalized = "";
  for (const { char, start, end } of chars) {
    if (options.stripAccents && classOf(char.codePointAt(0)!) === MARK) continue;
    const kept = options.lowercase ? lowerCase(char) : char;
    normalized += kept;
    for (let i = 0; i < kept.length; i++) {
      starts.push(start);
      ends.push(end);
    }
  }
  return { text: normalized, starts, ends };
}

/** A character being normalized, and the position of its source character in the original. */
export interface Char {
  char: string;
  readonly start: number;
  readonly end: number;
}

/** The characters after cleaning, with spaces around Chinese ones, decomposed if accents are to be dropped. */
function split(text: string, { cleanText, chineseChars, stripAccents }: NormalizerOptions): Char[] {
  const chars: Char[] = [];
  for (let start = 0, end = 0; start < text.length; start = end) {
    let codePoint = text.codePointAt(start)!;
    end = start + (codePoint > 0xffff ? 2 : 1);
    if (codePoint >= 0xd800 && codePoint < 0xe000) codePoint = 0xfffd;
    const kind = classOf(codePoint);
    if (cleanText && kind === DROPPED) continue;
    const isApart = chineseChars && kind === CHINESE;
    if (isApart) chars.push({ char: " ", start, end });
    const char = cleanText && kind === SPACE ? " " : String.fromCodePoint(codePoint);
    if (stripAccents && DECOMPOSED[codePoint] === 1) {
      for (const part of char.normalize("NFD")) chars.push({ char: part, start, end });
    } else chars.push({ char, start, end });
    if (isApart) chars.push({ char: " ", start, end });
  }
  return chars;
}

/**
 * Brings successive marks into their canonical order. (Marks newer than the table of
 * marks are not dropped.) As in tokenizers, the positions do not move with them.
 */
export function reorder(chars: Char[], isMark: (char: string) => boolean): void {
  for (let from = 0; from < chars.length; from++) {
    let to = from;
    while (to < chars.length && isMark(chars[to]!.char)) to++;
    if (to - from < 2) continue;
    const run = chars.slice(from, to).map(({ char }) => char);
    const ordered = Array.from(run.join("").normalize("NFD"));
    if (ordered.length === run.length) for (const [i, char] of ordered.entries()) chars[from + i]!.char = char;
    from = to;
  }
}

const isOrdered = (char: string): boolean => ORDERED[char.codePointAt(0)!] === 1;

/** Lower-cases a single character: a final sigma is not treated specially. */
const lowerCase = (char: string): string => YOUNG.get(char.codePointAt(0)!) ?? char.toLowerCase();
