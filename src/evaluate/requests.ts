/**
 * What an evaluation asks of a model. The three kinds are those of the LM evaluation harness (log-likelihood of a
 * continuation, rolling log-likelihood of a text, generation until a stop); a rolling log-likelihood is asked for as one
 * log-likelihood for each window of the text.
 */

/** How likely are these tokens after those? `Text` is token ids, or whatever stands for them. */
export interface LogLikelihoodRequest<Text = readonly number[]> {
  /** What comes before: at least one token. The model reads the last of them that fit. */
  readonly context: Text;
  /** At least one token, at most nCtx. */
  readonly continuation: Text;
  /** Tell {@link LogLikelihood.best} too. */
  readonly best?: boolean;
  /** Tell this many of {@link LogLikelihood.top}. Default 0. */
  readonly top?: number;
}

export interface LogLikelihood {
  /** Natural logarithm of each continuation token's probability, given all before it. */
  readonly logprobs: Float64Array;
  /** Their sum. */
  readonly logprob: number;
  /** The likeliest token in the place of each; empty if not asked for. */
  readonly best: Int32Array;
  /** The likeliest tokens in the place of the first, likeliest first; empty if not asked for. */
  readonly top: Int32Array;
}

/** What does the model write after this? */
export interface GenerateUntilRequest<Text = readonly number[]> {
  /** At least one token. The model reads the last nCtx - maxNewTokens of them. */
  readonly prompt: Text;
  readonly maxNewTokens: number;
  /** The text ends before the first of these; by default only where the model ends it, or runs out of tokens. */
  readonly until?: readonly string[];
  /** Draw from this many of the likeliest tokens at temperature 1; 1, the default, is greedy decoding. */
  readonly topK?: number;
  /** For drawing. Default 0. */
  readonly seed?: number;
}

export interface Generation {
  /** Without the stop string. */
  readonly text: string;
  /** Of all tokens generated, the stop's included: natural logarithm of the probability that the model gave them. */
  readonly logprob: number;
  readonly tokens: number;
}

/** A request of either kind. */
export type Request =
  | ({ readonly kind: "loglikelihood" } & LogLikelihoodRequest)
  | ({ readonly kind: "generate" } & GenerateUntilRequest);
export type Answer = LogLikelihood | Generation;

/**
 * Work that asks a model in between: yields requests, is given their answers, and returns a result. Any number of these
 * go in step, so that their requests share runs of the model.
 */
export type Asking<Result> = Generator<readonly Request[], Result, readonly Answer[]>;

/** Asks for log-likelihoods: `const [a, b] = yield* logLikelihoods(…)`. */
export function* logLikelihoods(requests: readonly LogLikelihoodRequest[]): Asking<LogLikelihood[]> {
  const answers = yield requests.map((request) => ({ kind: "loglikelihood", ...request }) as const);
  return answers as LogLikelihood[];
}

/** Asks for generated texts. */
export function* generations(requests: readonly GenerateUntilRequest[]): Asking<Generation[]> {
  const answers = yield requests.map((request) => ({ kind: "generate", ...request }) as const);
  return answers as Generation[];
}
