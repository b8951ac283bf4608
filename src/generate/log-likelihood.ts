import { ContextLengthError, UsageError } from "../errors.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { Job } from "./job.js";
import { largest } from "./largest.js";
import type { LogLikelihood, LogLikelihoodRequest, RunOptions } from "./requests.js";
import { runJobs } from "./run-jobs.js";
import type { Scheduler } from "./scheduler.js";

export interface EngineRunOptions extends RunOptions {
  /** LoRA adapter on the model's weights. */
  readonly adapter?: LoadedAdapter | undefined;
  /** Vocabulary limit: ids from here on are never among the likeliest. Default: vocabSize. */
  readonly vocabLimit?: number | undefined;
}

/** A request in the scheduler's form. */
interface Reading {
  readonly index: number;
  /** Input tokens. */
  readonly tokens: readonly number[];
  /** The continuation; its last token follows the last input token. */
  readonly targets: readonly number[];
  readonly logprobs: Float64Array;
  readonly best: Int32Array;
  readonly top: Int32Array;
}

/**
 * Answers log-likelihood requests, in order. Naively each request is a forward pass over its context and continuation. Here
 * requests share runs of the engine without padding, and a common prefix is computed once.
 *
 * @throws {UsageError} an empty context or continuation, or an id outside the vocabulary.
 * @throws {ContextLengthError} a continuation longer than the model's context.
 */
export async function runLogLikelihoods(
  scheduler: Scheduler,
  requests: readonly LogLikelihoodRequest[],
  { vocabLimit = scheduler.engine.config.vocabSize, adapter, scope, signal, onProgress }: EngineRunOptions = {},
): Promise<LogLikelihood[]> {
  const { nCtx } = scheduler.engine.config;
  const readings = requests.map((request, index) => toReading(request, index, nCtx, vocabLimit));
  // Requests with a common prefix start together: one computes it while the others wait.
  const sorted = [...readings].sort((a, b) => compareTokens(a.tokens, b.tokens));
  let done = 0;
  await runJobs(
    scheduler,
    sorted.map((reading) => ({ ...toJob(reading, vocabLimit), adapter, scope })),
    { signal, onDone: () => onProgress?.(++done) },
  );
  return readings.map(({ logprobs, best, top }) => {
    return { logprobs, logprob: logprobs.reduce((sum, x) => sum + x, 0), best, top };
  });
}

function toReading(
  { context, continuation, best = false, top = 0 }: LogLikelihoodRequest,
  index: number,
  nCtx: number,
  vocabLimit: number,
): Reading {
  if (context.length === 0 || continuation.length === 0) {
    const op = `log-likelihood request ${index}`;
    throw new UsageError({ op, expected: "a context and a continuation", got: "an empty one" });
  }
  if (continuation.length > nCtx) {
    const expected = `at most ${nCtx} tokens, the model's context`;
    throw new ContextLengthError({ op: "log-likelihood: continuation", expected, got: `${continuation.length}` });
  }
  if (!(Number.isInteger(top) && top >= 0)) {
    throw new UsageError({ op: "log-likelihood: top", expected: "0 or a positive integer", got: String(top) });
  }
  return {
    index,
    tokens: [...context, ...continuation].slice(0, -1).slice(-nCtx),
    targets: continuation,
    logprobs: new Float64Array(continuation.length),
    best: new Int32Array(best ? continuation.length : 0),
    top: new Int32Array(Math.min(top, vocabLimit)),
  };
}

function toJob({ tokens, targets, logprobs, best, top }: Reading, vocabLimit: number): Job {
  return {
    tokens,
    scoring: {
      from: tokens.length - targets.length,
      targets,
      best: best.length > 0,
      vocabLimit,
      rows: top.length > 0 ? [0, 1] : undefined,
      row: (logits) => largest(logits.subarray(0, vocabLimit), top.length, top),
      score: (i, score) => {
        logprobs[i] = score.logprob;
        if (best.length > 0) best[i] = score.best;
      },
    },
  };
}

/** Lexicographic order, which puts common prefixes side by side. */
function compareTokens(a: readonly number[], b: readonly number[]): number {
  const end = Math.min(a.length, b.length);
  for (let n = 0; n < end; n++) if (a[n] !== b[n]) return a[n]! - b[n]!;
  return a.length - b.length;
}
