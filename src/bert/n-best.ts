import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import { type ScoredWindow, wholeWords } from "./answer.js";
import type { BestAnswers } from "./options.js";
import { largestIndices, softmax } from "./probabilities.js";

/**
 * The n best spans over all windows, by the sum of the logits of their start and end, as BERT's own SQuAD script has them (Devlin et
 * al. 2019, sections 4.2, 4.3). Logits of different windows are compared as they are.
 */
export function bestAnswers(
  tokenizer: EncoderTokenizer,
  context: string,
  windows: readonly ScoredWindow[],
  { nBest, maxAnswerLength }: { readonly nBest: number; readonly maxAnswerLength: number },
): BestAnswers {
  const none = Math.min(...windows.map(({ start, end }) => start[0]! + end[0]!));
  const found = windows.flatMap(({ encoding, start, end }) => {
    const { texts } = encoding;
    const inside = (n: number): boolean => texts[n] === 1;
    const ends = largestIndices(end, nBest);
    return largestIndices(start, nBest).flatMap((s) =>
      ends
        .filter((e) => inside(s) && inside(e) && e >= s && e < s + maxAnswerLength)
        .map((e) => ({ encoding, start: s, end: e, score: start[s]! + end[e]! })),
    );
  });
  const best = found.sort((a, b) => b.score - a.score).slice(0, nBest);
  const probabilities = softmax(best.map(({ score }) => score));
  const answers = best.map(({ encoding, ...span }, i) => {
    const [start, end] = wholeWords(tokenizer, encoding, span);
    return { score: probabilities[i]!, start, end, answer: context.slice(start, end) };
  });
  return { answers, noAnswer: none - (best[0]?.score ?? Number.NEGATIVE_INFINITY) };
}
