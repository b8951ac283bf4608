import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import type { WordPieceEncoding } from "../tokenizer/wordpiece/encode-pieces.js";
import type { AnswerSpan } from "./options.js";
import { softmax } from "./probabilities.js";

/** Extracts answers as spans of a context, by the rules of transformers' question-answering pipeline. */

/** Score of a token where no answer can start or end. */
const EXCLUDED = -10000;

/** A window and the head's scores for each of its tokens: the answer's start, and its end. */
export interface ScoredWindow {
  readonly encoding: WordPieceEncoding;
  readonly start: readonly number[];
  readonly end: readonly number[];
}

export interface SpanLimits {
  readonly topK: number;
  readonly maxAnswerLength: number;
  readonly allowNoAnswer: boolean;
}

interface Span {
  readonly score: number;
  readonly start: number;
  readonly end: number;
}

export function answerSpans(
  tokenizer: EncoderTokenizer,
  context: string,
  windows: readonly ScoredWindow[],
  limits: SpanLimits,
): AnswerSpan[] {
  const answers: AnswerSpan[] = [];
  // Take the least probable empty answer: in a window without the answer it is always probable.
  let none = 1;
  for (const { encoding, start, end } of windows) {
    const { texts } = encoding;
    const [starts, ends] = [start, end].map((scores) =>
      softmax(scores.map((x, n) => (n === 0 || texts[n] === 1 ? x : EXCLUDED))),
    );
    if (limits.allowNoAnswer) none = Math.min(none, starts![0]! * ends![0]!);
    starts![0] = 0;
    for (const span of bestSpans(starts!, ends!, texts, limits)) {
      const [from, to] = wholeWords(tokenizer, encoding, span);
      answers.push({ score: span.score, start: from, end: to, answer: context.slice(from, to) });
    }
  }
  if (limits.allowNoAnswer) answers.push({ score: none, start: 0, end: 0, answer: "" });
  return answers.sort((a, b) => b.score - a.score).slice(0, limits.topK);
}

/** The most probable pairs of a start and an end at most `maxAnswerLength` tokens apart, in the context. */
function bestSpans(starts: Float64Array, ends: Float64Array, texts: Int8Array, limits: SpanLimits): Span[] {
  const { topK, maxAnswerLength } = limits;
  const best: Span[] = [];
  for (let start = 0; start < starts.length; start++) {
    if (texts[start] !== 1) continue;
    for (let end = start; end < Math.min(ends.length, start + maxAnswerLength); end++) {
      if (texts[end] !== 1) continue;
      const score = starts[start]! * ends[end]!;
      if (best.length === topK && score <= best.at(-1)!.score) continue;
      if (best.length === topK) best.pop();
      best.splice(best.findLastIndex((other) => other.score >= score) + 1, 0, { score, start, end });
    }
  }
  return best;
}

/** A span of the context, extended to whole words. */
export function wholeWords(tokenizer: EncoderTokenizer, { ids, texts, offsets }: WordPieceEncoding, span: Span) {
  const continues = (n: number): boolean =>
    texts[n] === 1 &&
    texts[n - 1] === 1 &&
    tokenizer.continuesWord(ids[n]!, ids[n - 1]!) &&
    offsets[2 * n] === offsets[2 * n - 1];
  let { start, end } = span;
  while (continues(start)) start--;
  while (end + 1 < ids.length && continues(end + 1)) end++;
  return [offsets[2 * start]!, offsets[2 * end + 1]!] as const;
}
