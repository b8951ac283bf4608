import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { LogitsRow } from "./engine.js";
import type { CachedScore } from "./slots.js";

/** What a sequence computes next. */
export interface Step {
  /** At least one. */
  readonly tokens: readonly number[];
  /** Number of cached tokens that come before; the rest is rolled back. 0 begins anew: the tokens are a prompt. */
  readonly keep: number;
}

/** Continues a prompt, token by token. */
export interface Continuation {
  /**
   * Samples the token that follows, from the logits after the prompt and then after each token of a step, in order.
   * Undefined where a token before was another than the step's (a rejected draft), or the last.
   */
  sample(row: LogitsRow): number | undefined;
  /** Receives the log-probability of each sampled token, in order. */
  accept(logprob: number): void;
  /** The next step, once all rows of the last were sampled; undefined at the end. */
  next(): Step | undefined;
  /** Whether there is room for more; a job that has none waits until {@link Scheduler.wake}. Always, by default. */
  ready?(): boolean;
}

/** Log-probabilities of given tokens on the way through a prompt. */
export interface Scoring {
  /** Target i follows prompt token `from + i`. */
  readonly from: number;
  readonly targets: readonly number[];
  /** Whether the likeliest token is wanted too. */
  readonly best: boolean;
  /** Ids from here on are never the likeliest. */
  readonly vocabLimit: number;
  /** The likeliest tokens, by {@link Scoring.row}, keep a cached score from being enough: rows from this target on. */
  readonly rows?: readonly [from: number, to: number] | undefined;
  /** Receives the logits before target i, if `rows` holds it. */
  row?(logits: LogitsRow, i: number): void;
  score(i: number, score: CachedScore): void;
}

/** A request of the scheduler: a prompt, what to score of it, and how to go on from it. */
export interface Job {
  /** From 1 to nCtx ids. */
  readonly tokens: readonly number[];
  readonly adapter?: LoadedAdapter | undefined;
  readonly scoring?: Scoring | undefined;
  readonly continuation?: Continuation | undefined;
  /** Receives the logits after prompt token i, from `logitsFrom` on, instead of a continuation. */
  readonly logits?: { readonly from: number; row(logits: LogitsRow, token: number): void } | undefined;
  /** Higher ones first. Default 0. */
  readonly priority?: number | undefined;
  /** Prefixes are shared only with jobs of the same scope. Default "". */
  readonly scope?: string | undefined;
  /** Whether its prompt may be read from the cache and kept there. Default true. */
  readonly cache?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called when it gets a slot. @param cached prompt tokens that need not be computed */
  readonly started?: ((cached: number) => void) | undefined;
}
