import type { WordPieceEncoding } from "./wordpiece/encode-pieces.js";

/** The index of the word that each token begins, for words encoded with spaces between them; undefined for other tokens. */
export function wordsOf({ texts, offsets }: WordPieceEncoding, words: readonly string[]): (number | undefined)[] {
  let [word, end, last] = [0, words[0]?.length ?? 0, -1];
  return Array.from(texts, (text, n) => {
    if (text === -1) return undefined;
    while (offsets[2 * n + 1]! > end && word < words.length - 1) end += 1 + words[++word]!.length;
    if (word === last) return undefined;
    last = word;
    return word;
  });
}
