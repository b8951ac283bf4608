/** The naive overlap, an oracle for the fast one: strings in a Set. */
import { normalizedWords } from "../../../src/evaluate/overlap/words.js";
import { RandomStream } from "../../../src/util/random.js";

/** The n-grams of a text, in order, each as a string. */
export function ngramsOf(text: string, n: number): string[] {
  const words = normalizedWords(text);
  return words.slice(0, Math.max(0, words.length - n + 1)).map((_, i) => words.slice(i, i + n).join(" "));
}

export function naiveOverlap(known: ReadonlySet<string>, text: string, n: number): { ngrams: number; found: number } {
  const ngrams = ngramsOf(text, n);
  return { ngrams: ngrams.length, found: ngrams.filter((ngram) => known.has(ngram)).length };
}

/** Text of few distinct words, so that n-grams recur; line ends and odd characters are at the given places. */
export function babble(words: number, vocabulary: number, seed: number): string {
  const random = new RandomStream(seed);
  const marks = [" ", " ", " ", ", ", ". ", "\n", " — ", "’", "… ", "\u00a0", "-"];
  const letters = ["a", "B", "é", "ß", "Σ", "ж", "中", "7", "ﬁ", "x"];
  const word = () => {
    const id = random.below(vocabulary);
    return `${letters[id % letters.length]}${id.toString(36)}`;
  };
  return Array.from({ length: words }, () => word() + marks[random.below(marks.length)]).join("");
}
