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
  /** By which score the best is chosen: all of its log-probability, or that per token or per byte. Default total. */
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
  /** In UTF-8, a space at its beginning included. */
  readonly bytes: number;
  /** Its probability divided by that of all candidates. */
  readonly share: number;
}

export interface Choice {
  /** The best candidate; of equal ones the first. */
  readonly text: string;
  readonly index: number;
  /** The score it was chosen by. */
  readonly normalization: Normalization;
  /** What the candidates were read after. */
  readonly prompt: string;
  /** All, in the order given. */
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
  // Without <|endoftext|> there is a context, and the id is not used.
  const pairs = choicePairs({ tokenizer, endOfText: endOfText ?? 0 }, context, candidates);
  return choiceOf(model, context, candidates, pairs, options);
}

/**
 * Scores candidates that are tokens already.
 *
 * @throws {ContextLengthError} one does not fit together with the context: cut for each, contexts would differ.
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
  // The last token is predicted, and not read.
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
  throw new UsageError({ op: "choice", expected: "candidates, texts that are not empty", got });
}

/** @throws {UsageError} there is no such score. */
export function checkNormalization(normalization: Normalization): void {
  if (NORMALIZATIONS.includes(normalization)) return;
  const expected = NORMALIZATIONS.join(", ");
  throw new UsageError({ op: "choice: normalization", expected, got: String(normalization) });
}
