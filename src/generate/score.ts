import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { Scheduler } from "./scheduler.js";
import type { CachedScore } from "./slots.js";

/** A window of a text to score in one forward pass, in token indices. */
export interface ScoringWindow {
  /** The model reads tokens [start, end - 1). */
  readonly start: number;
  /** Tokens [from, end) are scored. */
  readonly from: number;
  readonly end: number;
}

/**
 * Windows that score tokens [from, length) of a text, each once, with a model that reads at most nCtx tokens. The first
 * window reads as much as it can. Each later one adds `stride` tokens, so every token is predicted from at least
 * nCtx - stride + 1 tokens before it, or from all there are.
 */
export function* scoringWindows(
  length: number,
  from: number,
  nCtx: number,
  stride: number,
): Generator<ScoringWindow, void, undefined> {
  let next = from;
  while (next < length) {
    const end = Math.min(length, Math.max(nCtx + 1, next + stride));
    yield { start: Math.max(0, end - 1 - nCtx), from: next, end };
    next = end;
  }
}

export interface ScoreSettings {
  /** Tokens by which the window moves over a text longer than the context. */
  readonly stride: number;
  readonly adapter?: LoadedAdapter | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((tokens: number) => void) | undefined;
}

/**
 * Natural log-probabilities of tokens [from, length) of a text, each given the tokens before it.
 *
 * @param from at least 1: the first token follows nothing, so it has no probability.
 */
export async function scoreTokens(
  scheduler: Scheduler,
  tokens: readonly number[],
  from: number,
  { stride, adapter, signal, onProgress }: ScoreSettings,
): Promise<Float64Array> {
  const { nCtx, vocabSize: vocabLimit } = scheduler.engine.config;
  const logprobs = new Float64Array(tokens.length - from);
  for (const window of scoringWindows(tokens.length, from, nCtx, stride)) {
    const inputs = tokens.slice(window.start, window.end - 1);
    const targets = tokens.slice(window.from, window.end);
    const score = (i: number, { logprob }: CachedScore): void => {
      logprobs[window.from - from + i] = logprob;
    };
    const scoring = { from: inputs.length - targets.length, targets, best: false, vocabLimit, score };
    await scheduler.submit({ tokens: inputs, scoring, adapter, signal });
    onProgress?.(window.end - from);
  }
  return logprobs;
}
