import { ContextLengthError, UsageError } from "../errors.js";
import type { Engine, LogitsRow, Sequence } from "./engine.js";
import { commonPrefix, type LaneOptions, laneCount, openLanes, sharedByAll, sharePrefixes } from "./lanes.js";
import { largest } from "./largest.js";
import type { LogLikelihood, LogLikelihoodRequest, RunOptions } from "./requests.js";

export interface EngineRunOptions extends RunOptions, LaneOptions {
  /** Vocabulary limit: ids from here on never count among the likeliest. Default: vocabSize. */
  readonly vocabLimit?: number | undefined;
}

/** A request in the form that the engine runs. */
interface Job {
  readonly index: number;
  /** Input tokens. */
  readonly tokens: readonly number[];
  /** The continuation: its last token follows the last input token. */
  readonly targets: readonly number[];
  readonly best: Int32Array;
  readonly top: Int32Array;
}

/** A sequence of the engine, and the jobs that run in it one after another. */
interface Lane {
  readonly sequence: Sequence;
  /** Tokens in the cache. */
  tokens: readonly number[];
  jobs: readonly Job[];
}

/** Lanes are opened for this many full runs a step, so that the last, partly filled one costs little. */
const RUNS_A_STEP = 4;

/** Shortest common prefix that is worth copying from one sequence to the others. */
const WORTH_COPYING = 16;

/**
 * Answers log-likelihood requests, in order. Several sequences grow in each run of the engine, and the model reads a
 * common prefix of requests once.
 *
 * @throws {UsageError} an empty context or continuation, or an id outside the vocabulary.
 * @throws {ContextLengthError} a continuation longer than the model's context.
 */
export async function runLogLikelihoods(
  engine: Engine,
  requests: readonly LogLikelihoodRequest[],
  { vocabLimit = engine.config.vocabSize, adapter, signal, onProgress }: EngineRunOptions = {},
): Promise<LogLikelihood[]> {
  const jobs = requests.map((request, index) => toJob(request, index, engine.config.nCtx, vocabLimit));
  const answers = new Array<LogLikelihood>(jobs.length);
  if (jobs.length === 0) return answers;
  const lists = sharePrefixes(jobs);
  const lengths = jobs.map(({ tokens }) => tokens.length);
  const average = lengths.reduce((sum, length) => sum + length, 0) / jobs.length;
  const wanted = Math.min(lists.length, Math.ceil((RUNS_A_STEP * engine.maxTokens) / average));
  const lanes = await startLanes(engine, laneCount(engine, wanted, Math.max(...lengths)), jobs, { adapter, signal });
  let done = 0;
  try {
    for (;;) {
      for (const lane of lanes) if (lane.jobs.length === 0) lane.jobs = lists.shift() ?? [];
      const active = lanes.filter((lane) => lane.jobs.length > 0);
      if (active.length === 0) return answers;
      const results = await step(engine, active, vocabLimit, signal);
      for (const [i, lane] of active.entries()) {
        const [{ index, best, top }, ...rest] = lane.jobs as [Job, ...Job[]];
        const logprobs = results[i]!;
        answers[index] = { logprobs, logprob: logprobs.reduce((sum, x) => sum + x, 0), best, top };
        lane.jobs = rest;
      }
      onProgress?.((done += active.length));
    }
  } finally {
    for (const { sequence } of lanes) sequence.release();
  }
}

function toJob(
  { context, continuation, best = false, top = 0 }: LogLikelihoodRequest,
  index: number,
  nCtx: number,
  vocabLimit: number,
): Job {
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
    best: new Int32Array(best ? continuation.length : 0),
    top: new Int32Array(Math.min(top, vocabLimit)),
  };
}

async function startLanes(engine: Engine, count: number, jobs: readonly Job[], options: LaneOptions): Promise<Lane[]> {
  const shared = sharedByAll(jobs);
  const tokens = count > 1 && shared.length >= WORTH_COPYING ? shared : [];
  const sequences = await openLanes(engine, count, tokens, options);
  return sequences.map((sequence) => ({ sequence, tokens, jobs: [] }));
}

/** Runs the next job of every lane. */
async function step(
  engine: Engine,
  lanes: readonly Lane[],
  vocabLimit: number,
  signal: AbortSignal | undefined,
): Promise<Float64Array[]> {
  const extensions = lanes.map((lane) => {
    const { tokens, targets } = lane.jobs[0]!;
    // Tokens that precede targets are recomputed even if they are cached: their logits are not kept.
    const kept = Math.min(commonPrefix(lane.tokens, tokens), tokens.length - targets.length);
    lane.sequence.truncate(kept);
    lane.tokens = tokens;
    return { sequence: lane.sequence, tokens: tokens.slice(kept), targets };
  });
  const onLogits = (row: LogitsRow, lane: number, token: number) => {
    const { targets, best, top } = lanes[lane]!.jobs[0]!;
    const place = token - (extensions[lane]!.tokens.length - targets.length);
    const logits = row.subarray(0, vocabLimit);
    if (best.length > 0) largest(logits, 1, best.subarray(place, place + 1));
    if (place === 0 && top.length > 0) largest(logits, top.length, top);
  };
  const needsLogits = lanes.some(({ jobs: [job] }) => job!.best.length > 0 || job!.top.length > 0);
  return engine.score(extensions, { signal, ...(needsLogits && { onLogits }) });
}
