import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { type Asking, type LogLikelihood, logLikelihoods } from "../requests.js";
import { encodePair, type TokenPair } from "./encode-pair.js";

/** One of the texts to choose from, scored. */
export interface ScoredChoice {
  /** Natural logarithm of its probability after the context. */
  readonly logprob: number;
  readonly tokens: number;
  readonly characters: number;
  readonly bytes: number;
}

/** How log-probabilities of texts of different lengths are made comparable: not at all, or by what they are divided. */
export type Normalization = "total" | "token" | "byte";
export const NORMALIZATIONS: readonly Normalization[] = ["total", "token", "byte"];

interface ChoiceSetup {
  readonly tokenizer: Tokenizer;
  readonly endOfText: number;
}

const utf8 = new TextEncoder();

/** How likely each continuation is after the context; the context is read once. */
export function* scoreChoices(
  setup: ChoiceSetup,
  context: string,
  continuations: readonly string[],
): Asking<ScoredChoice[]> {
  const pairs = choicePairs(setup, context, continuations);
  return scoredChoices(pairs, continuations, yield* logLikelihoods(pairs));
}

/** What to ask a model. */
export function choicePairs(
  { tokenizer, endOfText }: ChoiceSetup,
  context: string,
  continuations: readonly string[],
): TokenPair[] {
  return continuations.map((text) => encodePair(tokenizer, endOfText, context, text));
}

/** Its answers. */
export function scoredChoices(
  pairs: readonly TokenPair[],
  continuations: readonly string[],
  answers: readonly LogLikelihood[],
): ScoredChoice[] {
  return continuations.map((text, i) => ({
    logprob: answers[i]!.logprob,
    tokens: pairs[i]!.continuation.length,
    // As Python's len counts them: code points.
    characters: [...text].length,
    bytes: utf8.encode(text).length,
  }));
}

/** What choices are compared by. */
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
