import { ngramCounts } from "./ngram-counts.js";
import { porterStem } from "./porter-stemmer.js";

/**
 * ROUGE (Lin 2004) as Google's rouge-score computes it: words are lower-cased runs of a-z and 0-9, those longer than 3
 * letters stemmed by Porter's algorithm.
 */

export interface RougeScore {
  readonly precision: number;
  readonly recall: number;
  readonly f: number;
}

const NOTHING: RougeScore = { precision: 0, recall: 0, f: 0 };

/** ROUGE's words of a text. */
export function rougeWords(text: string, stem: boolean): string[] {
  const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return stem ? words.map((word) => (word.length > 3 ? porterStem(word) : word)) : words;
}

/** ROUGE-N: common n-grams. */
export function rougeN(words: readonly string[], reference: readonly string[], n: number): RougeScore {
  const wanted = ngramCounts(reference, n);
  let matches = 0;
  for (const [ngram, count] of ngramCounts(words, n)) matches += Math.min(count, wanted.get(ngram) ?? 0);
  return score(matches, Math.max(0, words.length - n + 1), Math.max(0, reference.length - n + 1));
}

/** ROUGE-L of whole texts: longest common subsequence. */
export function rougeL(words: readonly string[], reference: readonly string[]): RougeScore {
  return score(lcsTable(reference, words).at(-1)!, words.length, reference.length);
}

/**
 * ROUGE-L of summaries (Lin 2004, section 3.2), called ROUGE-Lsum: the union, for each reference sentence, of its longest
 * common subsequences with the summary's sentences; no word counts more often than it occurs in either text.
 */
export function rougeLsum(
  sentences: readonly (readonly string[])[],
  references: readonly (readonly string[])[],
): RougeScore {
  const left = ngramCounts(sentences.flat(), 1);
  const wanted = ngramCounts(references.flat(), 1);
  let matches = 0;
  for (const reference of references) {
    const union = new Set(sentences.flatMap((sentence) => lcsPlaces(reference, sentence)));
    for (const place of [...union].sort((a, b) => a - b)) {
      const word = reference[place]!;
      if ((left.get(word) ?? 0) === 0 || (wanted.get(word) ?? 0) === 0) continue;
      matches++;
      left.set(word, left.get(word)! - 1);
      wanted.set(word, wanted.get(word)! - 1);
    }
  }
  return score(matches, sentences.flat().length, references.flat().length);
}

function score(matches: number, total: number, wanted: number): RougeScore {
  if (matches === 0) return NOTHING;
  const precision = matches / total;
  const recall = matches / wanted;
  return { precision, recall, f: (2 * precision * recall) / (precision + recall) };
}

/** Lengths of the longest common subsequences of a[0 … i) and b[0 … j), [a + 1, b + 1]. */
function lcsTable(a: readonly string[], b: readonly string[]): Int32Array {
  const width = b.length + 1;
  const table = new Int32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const at = i * width + j;
      table[at] = a[i - 1] === b[j - 1] ? table[at - width - 1]! + 1 : Math.max(table[at - width]!, table[at - 1]!);
    }
  }
  return table;
}

/** Positions in `a` of one longest common subsequence, the one that rouge-score takes. */
function lcsPlaces(a: readonly string[], b: readonly string[]): number[] {
  const table = lcsTable(a, b);
  const width = b.length + 1;
  const places: number[] = [];
  let [i, j] = [a.length, b.length];
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      places.push(i - 1);
      i--;
      j--;
    } else if (table[i * width + j - 1]! > table[(i - 1) * width + j]!) {
      j--;
    } else {
      i--;
    }
  }
  return places;
}
