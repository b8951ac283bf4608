import type { EncoderTokenizer } from "../tokenizer/byte-level-encoder.js";
import type { WordPieceEncoding } from "../tokenizer/wordpiece/tokenizer.js";

/**
 * Pseudo-log-likelihood of a text (Salazar et al. 2020, "Masked Language Model Scoring"): the sum over its tokens of the
 * logarithm of each one's probability with it masked. `word-l2r` (Kauf & Ivanova 2023, "A Better Way to Do Masked Language
 * Model Scoring") masks the tokens of the same word to its right too, without which a rare word of many tokens, each given away
 * by the others, looks probable. It is no probability of the text, and so no perplexity.
 */
export type LikelihoodMetric = "word-l2r" | "original";

export interface MaskedCopy {
  readonly ids: Uint32Array;
  readonly typeIds: Uint8Array;
  readonly rows: readonly [number];
}

/** A copy of the text for each of its tokens, in their order, with the token masked. */
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
