/** Measures of a model's texts: pure functions of text. */

const WORD = /\p{L}+(?:['’]\p{L}+)*/gu;

export const wordsOf = (text: string): string[] => Array.from(text.matchAll(WORD), ([word]) => word);

/**
 * Names, guessed by their form: capitalized words inside a sentence, after a lower-case word or a comma, except other words that
 * English capitalizes.
 */
export function namesIn(text: string): Set<string> {
  const found = new Set<string>();
  for (const [, word] of text.matchAll(/(?<=[\p{Ll},] )(\p{Lu}\p{Ll}{2,})(?:['’]s)?(?!\p{L})/gu)) {
    if (!NOT_NAMES.has(word!)) found.add(word!);
  }
  return found;
}

const NOT_NAMES = new Set(
  "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August September October November December God Lord Mr Mrs Miss Dr Sir English French German American".split(
    " ",
  ),
);

/**
 * Number of names in a continuation, and of those that already occur in the prompt; each occurrence counts. `new` lists
 * the others. A capitalized word at the start of a sentence counts as a name if it is one elsewhere in either text.
 */
export function namesKept(prompt: string, continuation: string): { kept: number; all: number; new: string[] } {
  const before = new Set(wordsOf(prompt));
  const names = new Set([...namesIn(prompt), ...namesIn(continuation)]);
  let [kept, all] = [0, 0];
  const others = new Set<string>();
  for (const word of wordsOf(continuation).map((w) => w.replace(/['’]s$/, ""))) {
    if (!names.has(word)) continue;
    all++;
    if (before.has(word) || before.has(`${word}’s`)) kept++;
    else others.add(word);
  }
  return { kept, all, new: [...others] };
}

const lowered = (text: string): string[] => wordsOf(text).map((word) => word.toLowerCase());

function ngrams(words: readonly string[], n: number): string[] {
  return Array.from({ length: Math.max(0, words.length - n + 1) }, (_, i) => words.slice(i, i + n).join(" "));
}

/** Distinct n-grams of all texts together, divided by all n-grams (Li et al. 2016, "distinct-n"). */
export function distinct(texts: readonly string[], n: number): number {
  const all = texts.flatMap((text) => ngrams(lowered(text), n));
  return all.length === 0 ? 1 : new Set(all).size / all.length;
}

/** The share of n-grams that occurred earlier in the same text, over all texts (Welleck et al. 2020, "seq-rep-n"). */
export function repeated(texts: readonly string[], n: number): number {
  let [again, all] = [0, 0];
  for (const text of texts) {
    const grams = ngrams(lowered(text), n);
    all += grams.length;
    again += grams.length - new Set(grams).size;
  }
  return all === 0 ? 0 : again / all;
}

/** Share of words that occur fewer than `least` times in a corpus, names left out; and these words. */
export function rareWords(
  texts: readonly string[],
  counts: ReadonlyMap<string, number>,
  least: number,
): { share: number; words: string[] } {
  const rare: string[] = [];
  let all = 0;
  for (const text of texts) {
    const names = new Set([...namesIn(text)].map((name) => name.toLowerCase()));
    for (const word of lowered(text)) {
      if (names.has(word)) continue;
      all++;
      if ((counts.get(word) ?? 0) < least) rare.push(word);
    }
  }
  return { share: all === 0 ? 0 : rare.length / all, words: [...new Set(rare)] };
}

/** The number of occurrences of each lower-cased word in texts. */
export function wordCounts(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of lowered(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}
