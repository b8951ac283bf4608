import type { LogLikelihood } from "../generate/requests.js";
import { encodePair, type TokenPair } from "../tokenizer/encode-pair.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** The score of one continuation among several. */
export interface ScoredChoice {
  /** Natural logarithm of its probability after the context. */
  readonly logprob: number;
  readonly tokens: number;
  readonly characters: number;
  readonly bytes: number;
}

/** The divisor of a log-probability, so that texts of different lengths compare: none, tokens, or bytes. */
export type Normalization = "total" | "token" | "byte";
export const NORMALIZATIONS: readonly Normalization[] = ["total", "token", "byte"];

export interface ChoiceSetup {
  readonly tokenizer: Tokenizer;
  readonly endOfText: number;
}

const utf8 = new TextEncoder();

/** The requests that score each continuation after the context. */
export function choicePairs(
  { tokenizer, endOfText }: ChoiceSetup,
  context: string,
  continuations: readonly string[],
): TokenPair[] {
  return continuations.map((text) => encodePair(tokenizer, endOfText, context, text));
}

/** Scores from the answers to {@link choicePairs}. */
export function scoredChoices(
  pairs: readonly TokenPair[],
  continuations: readonly string[],
  answers: readonly LogLikelihood[],
): ScoredChoice[] {
  return continuations.map((text, i) => ({
    logprob: answers[i]!.logprob,
    tokens: pairs[i]!.continuation.length,
    // Code points, as Python's len counts them.
    characters: [...text].length,
    bytes: utf8.encode(text).length,
  }));
}

/** The score that choices are compared by. */
export function normalizedScore(
  { logprob, tokens, bytes }: Omit<ScoredChoice, "characters">,
  by: Normalization,
): number {
  return by === "total" ? logprob : logprob / (by === "token" ? tokens : bytes);
}

/** Index of the largest value, the first of equal ones, as numpy's argmax. */
export function indexOfLargest(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
}
