import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { Draft } from "./draft-model.js";
import type { LogitsRow } from "./engine.js";
import type { RowSummary, SummarySettings } from "./sampling/row-summary.js";
import type { CachedScore } from "./slots.js";

/** The next tokens of a sequence to compute. */
export interface Step {
  /** At least one. */
  readonly tokens: readonly number[];
  /** Number of cached tokens to keep before them; the rest is rolled back. 0 starts over: the tokens are a prompt. */
  readonly keep: number;
}

/** Continues a prompt token by token. */
export interface Continuation {
  /**
   * Samples the next token from the logits after the prompt, then after each token of a step, in order. Undefined after a
   * rejected draft token, and after the text's last token.
   */
  sample(row: LogitsRow, summary?: RowSummary): number | undefined;
  /** The summary of logits that `sample` can use. */
  readonly summary?: SummarySettings | undefined;
  /** Receives the log-probability of each sampled token, in order. */
  accept(logprob: number): void;
  /** The next step, once all rows of the last one were sampled; undefined at the end. */
  next(): Step | undefined;
  /** Whether the consumer has room for more. If not, the job waits until {@link Scheduler.wake}. Default: always. */
  ready?(): boolean;
  /** Drafts of a second model: made before each step, after which the step's tokens hold them too. */
  readonly modelDraft?: Draft | undefined;
}

/** One of a step's sequences: the sequence of the last step that it continues, and the token. */
export interface Branch {
  readonly parent: number;
  readonly token: number;
}

/** Continues a prompt by several sequences at once, which branch and end: a beam search. */
export interface Branching {
  /** Most sequences at once. Slots for all of them are taken at the start. */
  readonly width: number;
  /**
   * Takes the logits after the last token of branch number `branch`, at first of the prompt. Returns an id whose
   * log-probability `logprob` then receives.
   */
  read(row: LogitsRow, branch: number): number;
  logprob(value: number, branch: number): void;
  /** The branches of the next step, once all of the last were read; undefined at the end. */
  next(): readonly Branch[] | undefined;
}

/** Log-probabilities of given tokens while a prompt is read. */
export interface Scoring {
  /** Target i follows prompt token `from + i`. */
  readonly from: number;
  readonly targets: readonly number[];
  /** Also find the likeliest token. */
  readonly best: boolean;
  /** Ids from here on are never the likeliest. */
  readonly vocabLimit: number;
  /** {@link Scoring.row} needs the logits of targets from this one on, for which a cached score is not enough. */
  readonly rows?: readonly [from: number, to: number] | undefined;
  /** Receives the logits before target i, if `rows` covers it. */
  row?(logits: LogitsRow, i: number): void;
  score(i: number, score: CachedScore): void;
}

/** A request to the scheduler: a prompt, what to score in it, and how to continue it. */
export interface Job {
  /** From 1 to nCtx ids. */
  readonly tokens: readonly number[];
  readonly adapter?: LoadedAdapter | undefined;
  readonly scoring?: Scoring | undefined;
  readonly continuation?: Continuation | undefined;
  /** Instead of a continuation. */
  readonly branching?: Branching | undefined;
  /** Receives the logits after prompt token i, from `logitsFrom` on, instead of a continuation. */
  readonly logits?: { readonly from: number; row(logits: LogitsRow, token: number): void } | undefined;
  /** Higher priorities start first. Default 0. */
  readonly priority?: number | undefined;
  /** Prefixes are shared only with jobs of the same scope. Default "". */
  readonly scope?: string | undefined;
  /** Take the prompt from the cache, and keep it there. Default true. */
  readonly cache?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called when the job gets a slot. @param cached prompt tokens that need not be computed */
  readonly started?: ((cached: number) => void) | undefined;
}
