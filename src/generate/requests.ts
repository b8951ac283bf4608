/**
 * Requests of evaluations and tasks to a model, in the terms of the LM evaluation harness: log-likelihood of a
 * continuation, and generation until a stop string. Its third kind, the rolling log-likelihood of a text, is one
 * log-likelihood for each window of the text.
 */

/** The log-likelihood of a continuation after a context. `Text` is token ids, or text before encoding. */
export interface LogLikelihoodRequest<Text = readonly number[]> {
  /** At least one token. The model reads the last of them that fit. */
  readonly context: Text;
  /** At least one token, at most nCtx. */
  readonly continuation: Text;
  /** Fill in {@link LogLikelihood.best}. Default false. */
  readonly best?: boolean;
  /** Length of {@link LogLikelihood.top}. Default 0. */
  readonly top?: number;
}

export interface LogLikelihood {
  /** Natural log-probability of each continuation token, given all tokens before it. */
  readonly logprobs: Float64Array;
  /** Their sum. */
  readonly logprob: number;
  /** The likeliest token at each position of the continuation; empty unless requested. */
  readonly best: Int32Array;
  /** The likeliest tokens at the first position, likeliest first; empty unless requested. */
  readonly top: Int32Array;
}

/** Text that the model writes after a prompt. */
export interface GenerateUntilRequest<Text = readonly number[]> {
  /** At least one token. The model reads the last nCtx - maxNewTokens of them. */
  readonly prompt: Text;
  readonly maxNewTokens: number;
  /** Stop strings; the text ends before the first. Default: none. */
  readonly until?: readonly string[];
  /** Sample from this many of the likeliest tokens at temperature 1. Default 1: greedy decoding. */
  readonly topK?: number;
  /** Seed of the sampling. Default 0. */
  readonly seed?: number;
}

export interface Generation {
  /** Without the stop string. */
  readonly text: string;
  /** Natural log-probability of all generated tokens together, including those of the stop string. */
  readonly logprob: number;
  readonly tokens: number;
}

export interface RunOptions {
  /** Prompts are shared in the cache only among requests of the same scope. Default "". */
  readonly scope?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of requests completed. */
  readonly onProgress?: ((done: number) => void) | undefined;
}
