import { ngramCounts } from "./ngram-counts.js";
import { splitWords, trimEnd } from "./white-space.js";

/**
 * BLEU (Papineni et al. 2002) of a corpus, as sacreBLEU (Post 2018) computes it with its defaults: n-grams up to 4 words,
 * case kept, exponential smoothing of orders without a match.
 */

const MAX_ORDER = 4;

/**
 * One translation's counts: its words, the words of the closest reference, matching n-grams for n = 1 … 4, and all n-grams
 * for n = 1 … 4. A corpus's counts are their sums.
 */
export type BleuCounts = readonly number[];

/** @param references translations of the same sentence, at least one */
export function bleuCounts(
  translation: string,
  references: readonly string[],
  tokenization: BleuTokenization,
): BleuCounts {
  const words = bleuWords(translation, tokenization);
  const others = references.map((reference) => bleuWords(reference, tokenization));
  const matches: number[] = [];
  const totals: number[] = [];
  for (let n = 1; n <= MAX_ORDER; n++) {
    const limits = mostOfEach(others.map((other) => ngramCounts(other, n)));
    let found = 0;
    for (const [ngram, count] of ngramCounts(words, n)) found += Math.min(count, limits.get(ngram) ?? 0);
    matches.push(found);
    totals.push(Math.max(0, words.length - n + 1));
  }
  return [words.length, closestLength(words.length, others), ...matches, ...totals];
}

/** BLEU from 0 to 100. */
export function bleuScore(counts: BleuCounts): number {
  const [length = 0, referenceLength = 0] = counts;
  const matches = counts.slice(2, 2 + MAX_ORDER);
  const totals = counts.slice(2 + MAX_ORDER);
  if (matches.every((count) => count === 0)) return 0;
  let smoothing = 1;
  let logSum = 0;
  for (const [i, total] of totals.entries()) {
    if (total === 0) return 0;
    // An order without a match counts as half a match, the next such order as a quarter, and so on (NIST's mteval).
    const found = matches[i]! > 0 ? matches[i]! : 1 / (smoothing *= 2);
    logSum += Math.log((100 * found) / total);
  }
  const brevity = length < referenceLength ? Math.exp(1 - referenceLength / length) : 1;
  return brevity * Math.exp(logSum / MAX_ORDER);
}

/** SacreBLEU's signature of this variant; `version` names the implementation. */
export function bleuSignature(tokenization: BleuTokenization, references: number, version: string): string {
  return `nrefs:${references}|case:mixed|eff:no|tok:${tokenization}|smooth:exp|version:${version}`;
}

function mostOfEach(all: readonly Map<string, number>[]): Map<string, number> {
  const most = new Map<string, number>();
  for (const counts of all) {
    for (const [ngram, count] of counts) most.set(ngram, Math.max(count, most.get(ngram) ?? 0));
  }
  return most;
}

/** The reference length nearest to the translation's, the shorter of two equally near. */
function closestLength(length: number, references: readonly (readonly string[])[]): number {
  const lengths = references.map((words) => words.length).sort((a, b) => a - b);
  let closest = lengths[0]!;
  for (const other of lengths) if (Math.abs(other - length) < Math.abs(closest - length)) closest = other;
  return closest;
}

/**
 * BLEU's tokenization: `13a` is that of mteval-v13a.pl, which WMT used; `intl` that of mteval-v14.pl
 * --international-tokenization; `none` splits at white space.
 */
export type BleuTokenization = "13a" | "intl" | "none";

/** mteval-v13a.pl: ASCII punctuation is split off; full stops and commas not within numbers, hyphens only after digits. */
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

/** mteval-v14.pl: every punctuation mark that is not between digits is split off, and every symbol. */
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
