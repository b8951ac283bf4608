import { splitWords, trimEnd } from "./white-space.js";

/**
 * How a sentence is cut into words before BLEU counts them. `13a` is that of mteval-v13a.pl, which WMT used; `intl` that of
 * mteval-v14.pl --international-tokenization; `none` cuts at white space.
 */
export type BleuTokenization = "13a" | "intl" | "none";

/** mteval-v13a.pl: ASCII punctuation stands alone, but full stops, commas and hyphens only next to or away from digits. */
const PUNCTUATION = /[{-~[-` -&(-+:-@/]/g;
const MARK_AFTER_NON_DIGIT = /([^0-9])([.,])/g;
const MARK_BEFORE_NON_DIGIT = /([.,])([^0-9])/g;
const HYPHEN_AFTER_DIGIT = /([0-9])(-)/g;

function tokenize13a(line: string): string {
  const unescaped = line
    .replaceAll("<skipped>", "")
    .replaceAll("-\n", "")
    .replaceAll("\n", " ")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">");
  return ` ${unescaped} `
    .replace(PUNCTUATION, " $& ")
    .replace(MARK_AFTER_NON_DIGIT, "$1 $2 ")
    .replace(MARK_BEFORE_NON_DIGIT, " $1 $2")
    .replace(HYPHEN_AFTER_DIGIT, "$1 $2 ");
}

/** mteval-v14.pl: every punctuation mark that is not between digits stands alone, and every symbol. */
function tokenizeInternational(line: string): string {
  return line
    .replace(/(\P{N})(\p{P})/gu, "$1 $2 ")
    .replace(/(\p{P})(\P{N})/gu, " $1 $2")
    .replace(/\p{S}/gu, " $& ");
}

const TOKENIZERS: Readonly<Record<BleuTokenization, (line: string) => string>> = {
  "13a": tokenize13a,
  intl: tokenizeInternational,
  none: (line) => line,
};

/** The words of a sentence. */
export function bleuWords(sentence: string, tokenization: BleuTokenization): string[] {
  return splitWords(TOKENIZERS[tokenization](trimEnd(sentence)));
}
