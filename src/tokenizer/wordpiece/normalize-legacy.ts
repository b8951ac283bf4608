import { type Char, type Normalized, type NormalizerOptions, reorder } from "./normalize.js";

/**
 * The normalizer of Google's BasicTokenizer, which transformers has as BertTokenizerLegacy. It differs from tokenizers'
 * BertNormalizer as follows: unassigned characters are dropped; the text is first brought into NFC, so that a
 * letter and its accent are one character where accents are kept; a sigma at the end of a word is lower-cased to ς; U+2B820
 * to U+2B91F are Chinese characters; and the classes of characters are those of the current engine's Unicode (in Python,
 * of Python's), not of an old table.
 */
export function normalizeLegacy(text: string, options: NormalizerOptions): Normalized {
  const starts: number[] = [];
  const ends: number[] = [];
  let normalized = "";
  for (const word of words(composed(split(text, options)))) {
    const chars = options.lowercase ? lowerCase(word) : word;
    const kept = options.stripAccents ? withoutMarks(chars) : chars;
    for (const { char, start, end } of [...kept, { char: " ", start: word[0]!.start, end: word[0]!.start }]) {
      normalized += char;
      for (let i = 0; i < char.length; i++) {
        starts.push(start);
        ends.push(end);
      }
    }
  }
  return { text: normalized, starts, ends };
}

export const isPunctuationLegacy = (codePoint: number): boolean =>
  /[!-/:-@[-`{-~\p{P}]/u.test(String.fromCodePoint(codePoint));

const isSpace = (char: string): boolean => /^[\p{White_Space}]$/u.test(char);
const isChinese = (char: string): boolean =>
  /^[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]$/u.test(
    char,
  );

function split(text: string, { cleanText, chineseChars }: NormalizerOptions): Char[] {
  const chars: Char[] = [];
  let start = 0;
  for (const char of text) {
    const end = start + char.length;
    const isKept = /[\t\n\r]/.test(char) || !/[\p{C}\ufffd]/u.test(char);
    const isApart = chineseChars && isChinese(char);
    if (isApart) chars.push({ char: " ", start, end });
    if (isKept || !cleanText) chars.push({ char, start, end });
    if (isApart) chars.push({ char: " ", start, end });
    start = end;
  }
  return chars;
}

/** NFC: a composed character gets the position of all its parts. */
function composed(chars: readonly Char[]): Char[] {
  const result: Char[] = [];
  for (let from = 0, to = 0; from < chars.length; from = to) {
    to = from + 1;
    while (to < chars.length && /^[\p{M}\u1161-\u11ff]$/u.test(chars[to]!.char)) to++;
    const run = chars.slice(from, to);
    const before = run.map(({ char }) => char).join("");
    const after = before.normalize("NFC");
    if (after === before) result.push(...run);
    else for (const char of after) result.push({ char, start: run[0]!.start, end: run.at(-1)!.end });
  }
  return result;
}

function words(chars: readonly Char[]): Char[][] {
  const found: Char[][] = [[]];
  for (const char of chars) {
    if (isSpace(char.char)) found.push([]);
    else found.at(-1)!.push(char);
  }
  return found.filter((word) => word.length > 0);
}

/** Lower-cases a whole word, since a sigma at its end has a form of its own. */
function lowerCase(word: readonly Char[]): Char[] {
  const lower = word
    .map(({ char }) => char)
    .join("")
    .toLowerCase();
  let at = 0;
  return word.flatMap(({ char, start, end }) => {
    const from = at;
    at += char.toLowerCase().length;
    return Array.from(lower.slice(from, at), (part) => ({ char: part, start, end }));
  });
}

function withoutMarks(word: readonly Char[]): Char[] {
  const parts = word.flatMap(({ char, start, end }) =>
    Array.from(char.normalize("NFD"), (part) => ({ char: part, start, end })),
  );
  reorder(parts, (char) => /^\p{M}$/u.test(char));
  return parts.filter(({ char }) => !/^\p{Mn}$/u.test(char));
}
