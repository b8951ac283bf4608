import type { RandomStream } from "../util/random.js";

/**
 * Masked tokens as in BERT (Devlin et al. 2019, section 3.1; Google's create_pretraining_data.py): of those chosen, 80% become
 * [MASK], 10% a random token and 10% stay, so that the model can't know which it has to predict.
 */

export interface MaskingOptions {
  /** Share of the tokens that are predicted. */
  readonly share: number;
  readonly maskId: number;
  /** Random tokens are below it. */
  readonly vocabSize: number;
  /** Whether a token begins a word, after the one before it; with it whole words are chosen. */
  readonly beginsWord?: ((token: number, before: number) => boolean) | undefined;
}

const MASKED = 0.8;
const RANDOM = 0.1;

/**
 * Chooses among the tokens at `places`, neighbours in a text, changes them and sets their targets to what they were: share of
 * them, rounded, at least one. Returns how many.
 */
export function maskTokens(
  tokens: Int32Array,
  targets: Int32Array,
  places: readonly number[],
  random: RandomStream,
  { share, maskId, vocabSize, beginsWord }: MaskingOptions,
): number {
  const wanted = Math.max(1, Math.round(places.length * share));
  const words = wordsOf(tokens, places, beginsWord);
  shuffle(words, random);
  let count = 0;
  for (const word of words) {
    // A word that is too long for the rest is left out, as in Google's code.
    if (count + word.length > wanted) continue;
    for (const place of word) {
      targets[place] = tokens[place]!;
      const drawn = random.uniform();
      if (drawn < MASKED) tokens[place] = maskId;
      else if (drawn < MASKED + RANDOM) tokens[place] = random.below(vocabSize);
    }
    count += word.length;
    if (count === wanted) break;
  }
  return count;
}

function wordsOf(tokens: Int32Array, places: readonly number[], beginsWord: MaskingOptions["beginsWord"]): number[][] {
  if (beginsWord === undefined) return places.map((place) => [place]);
  const words: number[][] = [];
  for (const [i, place] of places.entries()) {
    const before = places[i - 1];
    if (before !== undefined && !beginsWord(tokens[place]!, tokens[before]!)) words.at(-1)!.push(place);
    else words.push([place]);
  }
  return words;
}

/** Fisher and Yates. */
function shuffle<T>(list: T[], random: RandomStream): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}
