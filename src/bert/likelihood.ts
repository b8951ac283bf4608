import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import type { WordPieceEncoding } from "../tokenizer/wordpiece/tokenizer.js";

/**
 * Pseudo-log-likelihood of a text (Salazar et al. 2020, "Masked Language Model Scoring"): the sum over its tokens of the
 * log-probability of each with that token masked. `word-l2r` (Kauf & Ivanova 2023, "A Better Way to Do Masked Language
 * Model Scoring") also masks the tokens to its right in the same word: otherwise they give the token away, and a rare word
 * of many tokens looks probable. The sum is not a probability of the text, so it gives no perplexity.
 */
export type LikelihoodMetric = "word-l2r" | "original";

export interface MaskedCopy {
  readonly ids: Uint32Array;
  readonly typeIds: Uint8Array;
  readonly rows: readonly [number];
}

/** One copy of the text for each of its tokens, in order, with that token masked. */
export function maskedCopies(
  tokenizer: EncoderTokenizer,
  { ids, typeIds, texts }: WordPieceEncoding,
  mask: number,
  metric: LikelihoodMetric,
): MaskedCopy[] {
  const places = Array.from(ids.keys()).filter((n) => texts[n]! >= 0);
  return places.map((place) => {
    const copy = ids.slice();
    copy[place] = mask;
    if (metric === "word-l2r") {
      for (let n = place + 1; texts[n] === texts[place] && tokenizer.continuesWord(ids[n]!, ids[n - 1]!); n++)
        copy[n] = mask;
    }
    return { ids: copy, typeIds, rows: [place] };
  });
}

/** log softmax(logits)[id]. */
export function logProbability(logits: Float32Array, id: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const logit of logits) most = Math.max(most, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return logits[id]! - most - Math.log(sum);
}
