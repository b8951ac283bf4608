import type { RandomStream } from "../util/random.js";

/**
 * Masks tokens as in BERT (Devlin et al. 2019, section 3.1; Google's create_pretraining_data.py): of the chosen tokens, 80% become
 * [MASK], 10% a random token, and 10% stay, so that the model cannot know which ones it has to predict.
 */

export interface MaskingOptions {
  /** Share of tokens to predict. */
  readonly share: number;
  readonly maskId: number;
  /** Random tokens are below it. */
  readonly vocabSize: number;
  /** Whether a token begins a word, given the previous one. If present, whole words are chosen. */
  readonly beginsWord?: ((token: number, before: number) => boolean) | undefined;
}

const MASKED = 0.8;
const RANDOM = 0.1;

/**
 * Chooses among the tokens at `places`, which are consecutive in a text: the given share of them, rounded, at least one. Changes
 * the chosen tokens, and sets their targets to the originals. Returns their number.
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
    // A word longer than the remaining number is skipped, as in Google's code.
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

/** Fisher-Yates shuffle. */
function shuffle<T>(list: T[], random: RandomStream): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}
