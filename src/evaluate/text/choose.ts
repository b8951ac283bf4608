import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { type Asking, logLikelihoods } from "../requests.js";
import { encodePair } from "./encode-pair.js";

/** One of the texts to choose from, scored. */
export interface ScoredChoice {
  /** Natural logarithm of its probability after the context. */
  readonly logprob: number;
  readonly tokens: number;
  readonly characters: number;
  readonly bytes: number;
}

const utf8 = new TextEncoder();

/** How likely each continuation is after the context; the context is read once. */
export function* scoreChoices(
  { tokenizer, endOfText }: { readonly tokenizer: Tokenizer; readonly endOfText: number },
  context: string,
  continuations: readonly string[],
): Asking<ScoredChoice[]> {
  const pairs = continuations.map((text) => encodePair(tokenizer, endOfText, context, text));
  const answers = yield* logLikelihoods(pairs);
  return continuations.map((text, i) => ({
    logprob: answers[i]!.logprob,
    tokens: pairs[i]!.continuation.length,
    // As Python's len counts them: code points.
    characters: [...text].length,
    bytes: utf8.encode(text).length,
  }));
}

/** Index of the largest value, the first of equal ones, as numpy's argmax. */
export function indexOfLargest(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
}
