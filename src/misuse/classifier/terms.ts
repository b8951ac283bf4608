/** A word by the rule of scikit-learn's TfidfVectorizer: two or more letters, digits or underscores. */
const WORD = /[\p{L}\p{N}_]{2,}/gu;

export const wordsOf = (text: string): string[] => text.toLowerCase().match(WORD) ?? [];

/** Counts words, and pairs of neighbouring words joined by a space. */
export function termCounts(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (term: string): void => {
    counts.set(term, (counts.get(term) ?? 0) + 1);
  };
  for (const [i, word] of words.entries()) {
    add(word);
    if (i > 0) add(`${words[i - 1]!} ${word}`);
  }
  return counts;
}
