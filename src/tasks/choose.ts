import { ContextLengthError, UsageError } from "../errors.js";
import type { TokenPair } from "../tokenizer/encode-pair.js";
import { checkOptionNames } from "../util/nearest.js";
import {
  choicePairs,
  indexOfLargest,
  NORMALIZATIONS,
  type Normalization,
  normalizedScore,
  scoredChoices,
} from "./scored-choice.js";
import { needTokenizer, type PromptedModel, type TaskOptions } from "./write.js";

export interface ChooseOptions extends TaskOptions {
  /** The score to choose by: log-probability in total, per token, or per byte. Default total. */
  readonly normalization?: Normalization | undefined;
}

/** A candidate's scores. */
export interface CandidateScore {
  readonly text: string;
  /** Natural logarithm of its probability after the context. */
  readonly logprob: number;
  /** logprob / tokens. */
  readonly perToken: number;
  /** logprob / bytes. */
  readonly perByte: number;
  readonly tokens: number;
  /** Length in UTF-8, a leading space included. */
  readonly bytes: number;
  /** Its probability divided by the sum over all candidates. */
  readonly share: number;
}

export interface Choice {
  /** The best candidate; of equal ones the first. */
  readonly text: string;
  readonly index: number;
  /** The score that decided. */
  readonly normalization: Normalization;
  /** The text before the candidates. */
  readonly prompt: string;
  /** All candidates, in the order given. */
  readonly candidates: readonly CandidateScore[];
}

/** See {@link GPT2.choose}. */
export async function choose(
  model: PromptedModel,
  context: string,
  candidates: readonly string[],
  options: ChooseOptions,
): Promise<Choice> {
  checkOptionNames("choosing", options, { adapter: true, signal: true, normalization: true });
  const tokenizer = needTokenizer(model, "choice");
  const { endOfText } = model;
  if (endOfText === undefined && context.trim() === "") {
    const hint = "This model has no <|endoftext|> to start a text with";
    throw new UsageError({ op: "choice", expected: "a context", got: "none", hint });
  }
  checkCandidates(candidates);
  // A model without <|endoftext|> has a context here, and the id is not used.
  const pairs = choicePairs({ tokenizer, endOfText: endOfText ?? 0 }, context, candidates);
  return choiceOf(model, context, candidates, pairs, options);
}

/**
 * Scores tokenized candidates.
 *
 * @throws {ContextLengthError} one does not fit with the context: cutting would give candidates different contexts.
 */
export async function choiceOf(
  model: PromptedModel,
  prompt: string,
  texts: readonly string[],
  pairs: readonly TokenPair[],
  { normalization = "total", adapter, signal }: ChooseOptions,
): Promise<Choice> {
  checkNormalization(normalization);
  const longest = Math.max(...pairs.map(({ context, continuation }) => context.length + continuation.length));
  // The last token is predicted, not read.
  const room = model.config.nCtx + 1;
  if (longest > room) {
    const expected = `at most ${room} tokens of context and candidate`;
    throw new ContextLengthError({ op: "choice", expected, got: String(longest) });
  }
  const scored = scoredChoices(pairs, texts, await model.logLikelihoods(pairs, { adapter, signal }));
  const index = indexOfLargest(scored.map((choice) => normalizedScore(choice, normalization)));
  const candidates = withShares(
    scored.map(({ logprob, tokens, bytes }, i) => {
      return { text: texts[i]!, logprob, perToken: logprob / tokens, perByte: logprob / bytes, tokens, bytes };
    }),
  );
  return { text: texts[index]!, index, normalization, prompt, candidates };
}

function withShares(scores: readonly Omit<CandidateScore, "share">[]): CandidateScore[] {
  const most = Math.max(...scores.map(({ logprob }) => logprob));
  const weights = scores.map(({ logprob }) => Math.exp(logprob - most));
  const sum = weights.reduce((a, b) => a + b, 0);
  return scores.map((score, i) => ({ ...score, share: weights[i]! / sum }));
}

function checkCandidates(candidates: readonly string[]): void {
  if (candidates.length > 0 && !candidates.includes("")) return;
  const got = candidates.length === 0 ? "none" : "an empty one";
  throw new UsageError({ op: "choice", expected: "candidates, none of them empty", got });
}

/** @throws {UsageError} there is no such score. */
export function checkNormalization(normalization: Normalization): void {
  if (NORMALIZATIONS.includes(normalization)) return;
  const expected = NORMALIZATIONS.join(", ");
  throw new UsageError({ op: "choice: normalization", expected, got: String(normalization) });
}
