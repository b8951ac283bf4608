import { CLASS_RUNS, DECOMPOSED_RUNS, YOUNG_LOWER_CASE } from "./unicode-tables.js";

/** BERT's normalizer (tokenizers' BertNormalizer, the first half of Google's BasicTokenizer). */
export interface NormalizerOptions {
  /** Drop control characters, and make white space of any kind a space. */
  readonly cleanText: boolean;
  /** Put spaces around Chinese characters, so that each is a word. */
  readonly chineseChars: boolean;
  /** Drop accents: decompose characters, then drop nonspacing marks. */
  readonly stripAccents: boolean;
  readonly lowercase: boolean;
}

/** A normalized text, and the place of each of its UTF-16 units in the original. */
export interface Normalized {
  readonly text: string;
  /** [units] start and end of the character that each unit comes from. */
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

/** Whether the code point is punctuation to BERT: ASCII's symbols and Unicode's category P, as tokenizers knows it. */
export const isPunctuation = (codePoint: number): boolean => classOf(codePoint) === PUNCTUATION;

/** Unicode's White_Space. Some of it, such as U+0085, is dropped by cleaning before it could separate words. */
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
 * Here one character at a time, which gives each its place in the original. Classes, decompositions and lower case are
 * those of the tokenizers library, not of the JavaScript engine, whose version of Unicode varies.
 */
export function normalize(text: string, options: NormalizerOptions): Normalized {
  const { cleanText, chineseChars, stripAccents, lowercase } = options;
  const starts: number[] = [];
  const ends: number[] = [];
  let normalized = "";
  for (let start = 0, end = 0; start < text.length; start = end) {
    let codePoint = text.codePointAt(start)!;
    end = start + (codePoint > 0xffff ? 2 : 1);
    if (codePoint >= 0xd800 && codePoint < 0xe000) codePoint = 0xfffd;
    const kind = classOf(codePoint);
    if (cleanText && kind === DROPPED) continue;
    let chars = cleanText && kind === SPACE ? " " : String.fromCodePoint(codePoint);
    if (stripAccents) chars = withoutMarks(chars, codePoint);
    if (lowercase) chars = lowerCase(chars);
    if (chineseChars && kind === CHINESE) chars = ` ${chars} `;
    normalized += chars;
    for (let i = 0; i < chars.length; i++) {
      starts.push(start);
      ends.push(end);
    }
  }
  return { text: normalized, starts, ends };
}

function withoutMarks(char: string, codePoint: number): string {
  if (DECOMPOSED[codePoint] !== 1) return classOf(codePoint) === MARK ? "" : char;
  return Array.from(char.normalize("NFD"), (part) => (classOf(part.codePointAt(0)!) === MARK ? "" : part)).join("");
}

/** Each character alone: a final sigma has no form of its own. */
function lowerCase(chars: string): string {
  const first = chars.charCodeAt(0);
  if (chars.length === 1 && first < 0x80) return chars.toLowerCase();
  return Array.from(chars, (char) => YOUNG.get(char.codePointAt(0)!) ?? char.toLowerCase()).join("");
}
