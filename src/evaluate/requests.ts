import type { GenerateUntilRequest, Generation, LogLikelihood, LogLikelihoodRequest } from "../generate/requests.js";
import { type ChoiceSetup, choicePairs, type ScoredChoice, scoredChoices } from "../tasks/scored-choice.js";

/** A request of either kind. */
export type Request =
  | ({ readonly kind: "loglikelihood" } & LogLikelihoodRequest)
  | ({ readonly kind: "generate" } & GenerateUntilRequest);
export type Answer = LogLikelihood | Generation;

/**
 * A computation that needs a model: it yields requests, resumes with their answers, and returns a result. The runner
 * advances many of these in lockstep, so that their requests share runs of the model.
 */
export type RequestGenerator<Result> = Generator<readonly Request[], Result, readonly Answer[]>;

/** Requests log-likelihoods: `const [a, b] = yield* logLikelihoods(…)`. */
export function* logLikelihoods(requests: readonly LogLikelihoodRequest[]): RequestGenerator<LogLikelihood[]> {
  const answers = yield requests.map((request) => ({ kind: "loglikelihood", ...request }) as const);
  return answers as LogLikelihood[];
}

/** Requests generated texts. */
export function* generations(requests: readonly GenerateUntilRequest[]): RequestGenerator<Generation[]> {
  const answers = yield requests.map((request) => ({ kind: "generate", ...request }) as const);
  return answers as Generation[];
}

/** Requests the log-likelihood of each continuation after the context, which the model reads once. */
export function* scoreChoices(
  setup: ChoiceSetup,
  context: string,
  continuations: readonly string[],
): RequestGenerator<ScoredChoice[]> {
  const pairs = choicePairs(setup, context, continuations);
  return scoredChoices(pairs, continuations, yield* logLikelihoods(pairs));
}
