/** A word as scikit-learn's TfidfVectorizer finds them: two letters, digits or underscores and more. */
const WORD = /[\p{L}\p{N}_]{2,}/gu;

export const wordsOf = (text: string): string[] => text.toLowerCase().match(WORD) ?? [];

/** Words, and pairs of neighbours joined by a space, with how often each occurs. */
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
