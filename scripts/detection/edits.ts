import type { RandomStream } from "../../src/util/random.js";

/** A word, and the white space before it. */
type Word = readonly [space: string, word: string];

/** Edits of a share of a text's words, as someone would make who hides where it came from. */
export const EDITS = {
  "words deleted": (words, share, random) => words.filter(() => random.uniform() >= share),
  "words swapped": (words, share, random) => {
    const out = [...words];
    // Each swap moves two words.
    for (let i = 0; i + 1 < out.length; i++) {
      if (random.uniform() >= share / 2) continue;
      const [[space, word], [nextSpace, next]] = [out[i]!, out[i + 1]!];
      [out[i], out[i + 1]] = [
        [space, next],
        [nextSpace, word],
      ];
    }
    return out;
  },
  "words replaced by others of the text": (words, share, random) =>
    words.map(([space, word]) => [space, random.uniform() < share ? words[random.below(words.length)]![1] : word]),
} as const satisfies Readonly<Record<string, (words: readonly Word[], share: number, random: RandomStream) => Word[]>>;
export type Edit = keyof typeof EDITS;

export function edited(text: string, edit: Edit, share: number, random: RandomStream): string {
  const words = [...text.matchAll(/(\s*)(\S+)/g)].map(([, space, word]): Word => [space!, word!]);
  return EDITS[edit](words, share, random).flat().join("");
}
