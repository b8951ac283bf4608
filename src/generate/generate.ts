import type { TokenConstraint } from "../constrain/constraint.js";
import type { ConstraintOptions } from "../constrain/options.js";
import { ContextLengthError, UsageError } from "../errors.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { RandomStream } from "../util/random.js";
import type { Draft } from "./draft-model.js";
import type { LogitsRow } from "./engine.js";
import type { Continuation, Step } from "./job.js";
import type { Limit } from "./limit.js";
import type { GenerateSettings } from "./options.js";
import { PromptLookup } from "./prompt-lookup.js";
import { Sampler } from "./sampler.js";
import type { RowSummary, SummarySettings } from "./sampling/row-summary.js";
import { scoredRow } from "./sampling/scored-row.js";
import type { Scheduler } from "./scheduler.js";
import { TokenQueues } from "./token-queues.js";
import type { Watermark } from "./watermark/mark.js";
import type { WatermarkSettings } from "./watermark/options.js";

/**
 * Why a sample ended: its token limit, a stop string or the completion of a constraint, `<|endoftext|>`, or with
 * `overflow: "stop"` a full context.
 */
export type FinishReason = "length" | "stop" | "endoftext" | "context";

export interface GeneratedToken {
  readonly token: number;
  /**
   * Text that can no longer change: whole characters, and nothing that may turn into a stop string. Often this token's own
   * text, sometimes empty, sometimes that of several tokens. Joined, these are the sample's text.
   */
  readonly text: string;
  /** The token's natural log-probability in the model's own distribution, before temperature and filters. */
  readonly logprob: number;
  /** The likeliest tokens at its position, likeliest first, if requested. */
  readonly alternatives?: readonly Alternative[];
  /** Index of the sample. */
  readonly sample: number;
  /** Set on the last token of a sample. */
  readonly finishReason?: FinishReason;
  /** On the last token of a sample, if tokens of it were drafted. */
  readonly drafts?: DraftCounts;
}

/** Counts of tokens drafted, by prompt lookup or a draft model, and accepted. */
export interface DraftCounts {
  /** Tokens proposed, and how many of them the model accepted. */
  readonly proposed: number;
  readonly accepted: number;
}

/** A possible token, and its log-probability in the model's own distribution. */
export interface Alternative {
  readonly token: number;
  readonly logprob: number;
}

/** The parts of a model that generation uses. */
export interface GenerationModel {
  readonly scheduler: Scheduler;
  /** Vocabulary limit: larger ids have no token. */
  readonly vocabLimit: number;
  /** The token that starts a text without a prompt. */
  readonly endOfText: number | undefined;
  /** Tokens that end a text. */
  readonly eosTokenIds: readonly number[];
  /** LoRA adapter on the weights. */
  readonly adapter?: LoadedAdapter | undefined;
  /** Makes the decoder of one sample. Without it, tokens have no text. */
  readonly text: ((stop: readonly string[]) => TokenText) | undefined;
  /** Compiles a constraint over the model's tokens, which takes a tokenizer. */
  readonly constraint?: ((options: ConstraintOptions) => Promise<TokenConstraint>) | undefined;
}

/** Decodes a sample's tokens as they come, and finds stop strings. */
export interface TokenText {
  /** Adds a token. Returns the text that can no longer change. */
  push(token: number): string;
  /** Returns the rest of the text, at the end. */
  end(): string;
  /** Whether a stop string was found. */
  readonly stopped: boolean;
}

/**
 * Generates the tokens after a prompt, one by one, taking the samples in turn. Generation continues while the caller
 * handles a token, but stays only a few tokens ahead.
 */
export async function* generateTokens(
  model: GenerationModel,
  prompt: ArrayLike<number>,
  settings: GenerateSettings,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { scheduler, adapter } = model;
  const { signal, samples: count, priority, scope, scoring, started } = settings;
  const ids = promptTokens(model, prompt, settings);
  signal?.throwIfAborted();
  if (settings.maxNewTokens === 0) return;
  const watermark =
    settings.watermark && (await openedWatermark(settings.watermark, scheduler.engine.config.vocabSize));
  const newLimit = settings.constraint && (await limits(model, settings.constraint, settings));
  const queues = new TokenQueues<GeneratedToken>(count, () => scheduler.wake());
  const left = new AbortController();
  const stop = () => left.abort(signal!.reason);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const samples = Array.from(
      { length: count },
      (_, i) => new Sample(model, ids, settings, i, queues, { watermark, newLimit }),
    );
    for (const continuation of samples) {
      const job = { tokens: ids, adapter, continuation, priority, scope, started, signal: left.signal };
      scheduler
        .submit(continuation.index === 0 ? { ...job, scoring } : job)
        .finally(() => continuation.modelDraft?.close())
        .then(
          () => queues.end(continuation.index),
          (error) => queues.fail(error),
        );
    }
    // A tokenizer's tables take milliseconds to build: start while the prompt is being read.
    await yieldToEventLoop();
    for (const sample of samples) sample.prepare();
    for (;;) {
      const token = await queues.next();
      signal?.throwIfAborted();
      if (token === undefined) return;
      yield token;
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    left.abort();
  }
}

/** Imported on demand: most texts have no watermark. */
async function openedWatermark(settings: WatermarkSettings, vocabSize: number): Promise<Watermark> {
  const { openWatermark } = await import("./watermark/open.js");
  return openWatermark(settings, vocabSize);
}

/** Returns a function that makes the limit of one sample. Imported on demand too. */
async function limits(
  model: GenerationModel,
  constraint: ConstraintOptions,
  { stopAtEndOfText, stopTokens }: GenerateSettings,
): Promise<() => Limit> {
  if (!model.constraint) {
    throw new UsageError({ op: "constraint", expected: "a model with a tokenizer", got: "one without" });
  }
  const [compiled, { Limit }] = await Promise.all([model.constraint(constraint), import("./limit.js")]);
  const ends = [...(stopAtEndOfText ? model.eosTokenIds : []), ...stopTokens];
  return () => new Limit(compiled, ends);
}

/** The tokens that the model reads first. */
export function promptTokens(
  { scheduler, endOfText }: GenerationModel,
  prompt: ArrayLike<number>,
  { truncatePrompt }: Pick<GenerateSettings, "truncatePrompt">,
): number[] {
  const { nCtx } = scheduler.engine.config;
  if (prompt.length === 0 && endOfText === undefined) {
    const hint = "This model has no token that starts a text: give it a prompt";
    throw new UsageError({ op: "prompt", expected: "at least one token", got: "none", hint });
  }
  if (prompt.length === 0) return [endOfText!];
  const ids = Array.from(prompt);
  if (ids.length <= nCtx) return ids;
  if (truncatePrompt) return ids.slice(-halfContext(nCtx));
  throw new ContextLengthError({
    op: "prompt",
    expected: `at most ${nCtx} tokens, the model's context`,
    got: `${ids.length}`,
    hint: "Shorten it, or set truncatePrompt to use only its end",
  });
}

const halfContext = (nCtx: number): number => Math.max(1, nCtx >> 1);

/** One continuation of the prompt. */
class Sample implements Continuation {
  readonly index: number;
  readonly #model: GenerationModel;
  readonly #settings: GenerateSettings;
  readonly #queues: TokenQueues<GeneratedToken>;
  readonly #extras: Extras;
  readonly #tokens: number[];
  readonly #nCtx: number;
  #tools: Tools | undefined;
  #finished = false;
  /** The text's tokens that the model sees: one more than the cache holds. */
  #length: number;
  #left: number;
  /** Drafts of a smaller model, from the first step on. */
  modelDraft: Draft | undefined;
  /** The step's tokens: the one sampled last, and a draft of the next ones. */
  #step: number[] = [];
  /** Number of this draft's tokens accepted so far. */
  #accepted = 0;
  /** Whether the draft holds the only tokens that a constraint allows. */
  #draftIsForced = false;
  readonly #drafts = { proposed: 0, accepted: 0 };
  /** Whether a token of this run's draft was rejected. */
  #rejected = false;
  /** Sampled tokens whose log-probability is not yet known. */
  readonly #pending: Pending[] = [];

  constructor(
    model: GenerationModel,
    prompt: readonly number[],
    settings: GenerateSettings,
    index: number,
    queues: TokenQueues<GeneratedToken>,
    extras: Extras,
  ) {
    this.index = index;
    this.#model = model;
    this.#settings = settings;
    this.#queues = queues;
    this.#extras = extras;
    this.#tokens = [...prompt];
    this.#nCtx = model.scheduler.engine.config.nCtx;
    this.#length = prompt.length;
    this.#left = settings.maxNewTokens;
  }

  /** Prepares for the first token. */
  prepare(): Tools {
    this.#tools ??= this.#makeTools();
    return this.#tools;
  }

  #makeTools(): Tools {
    const [settings, prompt, { config }] = [this.#settings, this.#tokens, this.#model.scheduler.engine];
    const random = new RandomStream(settings.seed, this.index);
    const mark = this.#extras.watermark?.mark(prompt, this.index);
    const limit = this.#extras.newLimit?.();
    const { vocabLimit, eosTokenIds } = this.#model;
    const sampler = new Sampler(settings.sampling, vocabLimit, random, mark, settings.more, eosTokenIds, limit);
    sampler.see(prompt);
    const text = this.#model.text?.(settings.stop);
    if (settings.promptLookup === 0) return { sampler, text, limit, lookup: undefined };
    const lookup = new PromptLookup(config.vocabSize, settings.promptLookup);
    for (const token of prompt) lookup.push(token);
    return { sampler, text, limit, lookup };
  }

  ready(): boolean {
    return this.#queues.hasRoom(this.index);
  }

  get summary(): SummarySettings {
    return this.prepare().sampler.wanted;
  }

  /**
   * Samples the next token, which also verifies a draft: takes the logits after the last token, then after each draft token
   * until one is rejected. Every token is drawn from the model's distribution, as it would be without a draft, so the sample
   * is the same.
   */
  sample(logits: LogitsRow, summary?: RowSummary): number | undefined {
    if (this.#finished || this.#rejected) return undefined;
    const { sampler, text, limit, lookup } = this.prepare();
    const forced = limit?.forced[0];
    if (forced !== undefined) sampler.push(forced);
    const proposal = this.modelDraft?.proposals[this.#accepted];
    const token = forced ?? (proposal ? sampler.verify(logits, proposal, summary) : sampler.sample(logits, summary));
    if (token === this.#step[1 + this.#accepted]) this.#accepted++;
    else this.#rejected = true;
    this.#tokens.push(token);
    lookup?.push(token);
    this.#length++;
    this.#left--;
    const { stopAtEndOfText, stopTokens, alternatives } = this.#settings;
    const ended = (stopAtEndOfText && this.#model.eosTokenIds.includes(token)) || stopTokens.includes(token);
    if (!ended) limit?.push(token);
    const likeliest =
      alternatives > 0 ? likeliestOf(logits.subarray(0, this.#model.vocabLimit), alternatives, summary) : [];
    const own = logits[token]!;
    const piece = ended ? "" : (text?.push(token) ?? "");
    const finishReason = this.#finishReason(ended);
    const result = { token, sample: this.index };
    if (finishReason === undefined) {
      this.#pending.push({ result: { ...result, text: piece }, likeliest, own });
      return token;
    }
    this.#finished = true;
    const all = piece + (text?.end() ?? "");
    const reason = text?.stopped ? "stop" : finishReason;
    this.#count();
    const drafts = this.#drafts.proposed > 0 && { drafts: this.#drafts };
    this.#pending.push({ result: { ...result, text: all, finishReason: reason, ...drafts }, likeliest, own });
    return token;
  }

  accept(logprob: number): void {
    const { result, likeliest, own } = this.#pending.shift()!;
    const { token, text, ...rest } = result;
    // The difference of two logits is the difference of their log-probabilities.
    const alternatives = likeliest.map(({ token: id, logit }) => ({ token: id, logprob: logprob + (logit - own) }));
    this.#queues.push(this.index, { token, text, logprob, ...(alternatives.length > 0 && { alternatives }), ...rest });
  }

  #finishReason(ended: boolean): FinishReason | undefined {
    if (this.prepare().text?.stopped) return "stop";
    if (ended) return "endoftext";
    if (this.prepare().limit?.isComplete) return "stop";
    if (this.#left === 0) return "length";
    return this.#length > this.#nCtx && this.#settings.overflow === "stop" ? "context" : undefined;
  }

  /** The tokens that the model has not seen yet, and a draft of the next ones. */
  next(): Step | undefined {
    if (this.#finished) return undefined;
    const { lookup, limit } = this.prepare();
    this.#count();
    this.#accepted = 0;
    this.#rejected = false;
    if (this.#length > this.#nCtx) {
      // The text outgrows the context: start over with its last half.
      this.#step = [];
      this.#beginModelDraft(0);
      this.#length = halfContext(this.#nCtx);
      return { tokens: this.#tokens.slice(-this.#length), keep: 0 };
    }
    const room = Math.min(this.#left - 1, this.#nCtx - this.#length);
    this.#draftIsForced = (limit?.forced.length ?? 0) > 0;
    const draft = this.#draftIsForced ? limit!.forced.slice(0, Math.max(0, room)) : (lookup?.draft(room) ?? []);
    this.#step = [this.#tokens.at(-1)!, ...draft];
    this.#beginModelDraft(this.#draftIsForced ? 0 : room);
    return { tokens: this.#step, keep: this.#length - 1 };
  }

  /** Counts the draft of the run before, and lets its author learn from it. */
  #count(): void {
    const proposed = this.#step.length - 1;
    if (proposed <= 0 || this.#draftIsForced) return;
    this.#drafts.proposed += proposed;
    this.#drafts.accepted += this.#accepted;
    (this.prepare().lookup ?? this.modelDraft!).learn(this.#accepted);
  }

  /** Requests a draft of the smaller model, which comes into the step's tokens before they are run. */
  #beginModelDraft(room: number): void {
    const { draft, seed } = this.#settings;
    if (!draft) return;
    if (!this.modelDraft) {
      const { sampler } = this.prepare();
      const random = new RandomStream(seed, 2 ** 31 + this.index);
      this.modelDraft = draft.model.open(draft.tokens, (row, drafted) => sampler.propose(row, drafted, random));
    }
    this.modelDraft.begin(this.#tokens, room, this.#step);
  }
}

/** A sampled token that waits for its log-probability. */
interface Pending {
  readonly result: Omit<GeneratedToken, "logprob">;
  /** The likeliest tokens at its position, and its own logit. */
  readonly likeliest: readonly { readonly token: number; readonly logit: number }[];
  readonly own: number;
}

/** The likeliest tokens of a row, with their logits. */
export function likeliestOf(
  logits: LogitsRow,
  count: number,
  summary?: RowSummary,
): { token: number; logit: number }[] {
  const ids = new Int32Array(Math.min(count, logits.length));
  const row = scoredRow(logits.length);
  row.take(logits, summary, undefined);
  row.top(ids.length, ids);
  return Array.from(ids, (token) => ({ token, logit: logits[token]! }));
}

/** State that the samples of a call share. */
interface Extras {
  readonly watermark: Watermark | undefined;
  readonly newLimit: (() => Limit) | undefined;
}

/** The parts that a sample needs to produce tokens. */
interface Tools {
  readonly sampler: Sampler;
  readonly text: TokenText | undefined;
  readonly limit: Limit | undefined;
  readonly lookup: PromptLookup | undefined;
}
