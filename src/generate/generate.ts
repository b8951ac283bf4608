import { ContextLengthError, UsageError } from "../errors.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { RandomStream } from "../util/random.js";
import type { Extension } from "./chunks.js";
import type { Engine, LogitsRow, Sequence } from "./engine.js";
import type { GenerateSettings } from "./options.js";
import { PromptLookup } from "./prompt-lookup.js";
import { Sampler } from "./sampler.js";
import type { Watermark } from "./watermark/mark.js";
import type { WatermarkSettings } from "./watermark/options.js";

/**
 * Why a sample ended: its token limit, a stop string, `<|endoftext|>`, or with `overflow: "stop"` a full
 * context.
 */
export type FinishReason = "length" | "stop" | "endoftext" | "context";

export interface GeneratedToken {
  readonly token: number;
  /**
   * Text that is certain now: whole characters, nothing that could become a stop string. Often the token's own, sometimes
   * empty, sometimes several tokens'. Joined they are the sample's text.
   */
  readonly text: string;
  /** Natural logarithm of the token's probability in the model's own distribution, before temperature and filters. */
  readonly logprob: number;
  /** Index of its sample. */
  readonly sample: number;
  /** On the last token of a sample. */
  readonly finishReason?: FinishReason;
}

/** A model as generation sees it. */
export interface GenerationModel {
  readonly engine: Engine;
  /** Ids that have a meaning: those below. */
  readonly vocabLimit: number;
  /** What a text starts from without a prompt. */
  readonly endOfText: number | undefined;
  /** Tokens that end a text. */
  readonly eosTokenIds: readonly number[];
  /** LoRA adapter on the weights. */
  readonly adapter?: LoadedAdapter | undefined;
  /** Called once for each sample; without it there is no text. */
  readonly text: ((stop: readonly string[]) => TokenText) | undefined;
}

/** Turns a sample's tokens into text, and may end the sample: a tokenizer's text stream. */
export interface TokenText {
  /** The text that is certain now that this token is known. */
  push(token: number): string;
  /** The rest, at the end. */
  end(): string;
  /** Whether a stop string has come. */
  readonly stopped: boolean;
}

/** Generates the tokens that follow a prompt, one by one, those of all samples in turn. */
export async function* generateTokens(
  model: GenerationModel,
  prompt: ArrayLike<number>,
  settings: GenerateSettings,
): AsyncGenerator<GeneratedToken, void, undefined> {
  const { engine } = model;
  const { signal } = settings;
  const ids = promptTokens(model, prompt, settings);
  signal?.throwIfAborted();
  if (settings.maxNewTokens === 0) return;
  const watermark = settings.watermark && (await openedWatermark(settings.watermark, engine.config.vocabSize));
  const open: Sequence[] = [engine.sequence(model.adapter)];
  try {
    let made: Sample[] | undefined;
    const samples = () => {
      made ??= Array.from({ length: settings.samples }, (_, i) => new Sample(model, ids, settings, i, watermark));
      return made;
    };
    let tokens: GeneratedToken[] = [];
    const reading = engine.extend(
      [{ sequence: open[0]!, tokens: ids }],
      (row) => (tokens = samples().map((s) => s.next(row))),
      signal,
    );
    // A tokenizer's tables take milliseconds to make: better while the prompt is read than after it.
    await Promise.race([reading, yieldToEventLoop()]);
    samples();
    await reading;
    yield* tokens;
    let live = samples().filter((s) => !s.finished);
    if (live.length > 1) open.push(...(await engine.fork(open[0]!, live.length - 1)));
    for (const [i, sample] of live.entries()) sample.sequence = open[i]!;
    while (live.length > 0) {
      signal?.throwIfAborted();
      tokens = [];
      const extensions = live.map((s) => s.extension());
      await engine.extend(extensions, (row, i) => tokens.push(...live[i]!.follow(row)), signal);
      for (const sample of live) sample.settle();
      yield* tokens;
      for (const { finished, sequence } of live) if (finished) sequence!.release();
      live = live.filter((s) => !s.finished);
    }
  } finally {
    for (const sequence of open) sequence.release();
  }
}

/** Imported on demand: most texts have none. */
async function openedWatermark(settings: WatermarkSettings, vocabSize: number): Promise<Watermark> {
  const { openWatermark } = await import("./watermark/open.js");
  return openWatermark(settings, vocabSize);
}

/** The tokens that the model reads first. */
function promptTokens(
  { engine, endOfText }: GenerationModel,
  prompt: ArrayLike<number>,
  { truncatePrompt }: GenerateSettings,
): number[] {
  const { nCtx } = engine.config;
  if (prompt.length === 0 && endOfText === undefined) {
    const hint = "This model has no <|endoftext|> to start from";
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
    hint: "Shorten it, or set truncatePrompt to use its end alone",
  });
}

const halfContext = (nCtx: number): number => Math.max(1, nCtx >> 1);

/** One continuation of the prompt. */
class Sample {
  /** Holds all of `#tokens` but the last. */
  sequence: Sequence | undefined;
  finished = false;
  readonly #model: GenerationModel;
  readonly #settings: GenerateSettings;
  readonly #index: number;
  readonly #sampler: Sampler;
  readonly #text: TokenText | undefined;
  readonly #lookup: PromptLookup | undefined;
  readonly #tokens: number[];
  /** One more than the tokens in the cache. */
  #length: number;
  #left: number;
  /** Draft of the next tokens, and how many of it were accepted so far. */
  #draft: readonly number[] = [];
  #accepted = 0;
  /** Whether a token of this run's draft was rejected. */
  #rejected = false;

  constructor(
    model: GenerationModel,
    prompt: readonly number[],
    settings: GenerateSettings,
    index: number,
    watermark?: Watermark,
  ) {
    this.#model = model;
    this.#settings = settings;
    this.#index = index;
    const mark = watermark?.mark(prompt, index);
    this.#sampler = new Sampler(settings.sampling, model.vocabLimit, new RandomStream(settings.seed, index), mark);
    this.#sampler.see(prompt);
    this.#text = model.text?.(settings.stop);
    if (settings.promptLookup > 0) {
      this.#lookup = new PromptLookup(model.engine.config.vocabSize, settings.promptLookup);
      for (const token of prompt) this.#lookup.push(token);
    }
    this.#tokens = [...prompt];
    this.#length = prompt.length;
    this.#left = settings.maxNewTokens;
  }

  /** Samples the next token. */
  next(logits: LogitsRow): GeneratedToken {
    const { token, logprob } = this.#sampler.sample(logits);
    this.#tokens.push(token);
    this.#lookup?.push(token);
    this.#length++;
    this.#left--;
    const ended = this.#settings.stopAtEndOfText && this.#model.eosTokenIds.includes(token);
    let text = ended ? "" : (this.#text?.push(token) ?? "");
    const finishReason = this.#finishReason(ended);
    const result = { token, logprob, sample: this.#index };
    if (finishReason === undefined) return { ...result, text };
    this.finished = true;
    text += this.#text?.end() ?? "";
    return { ...result, text, finishReason: this.#text?.stopped ? "stop" : finishReason };
  }

  #finishReason(ended: boolean): FinishReason | undefined {
    if (this.#text?.stopped) return "stop";
    if (ended) return "endoftext";
    if (this.#left === 0) return "length";
    const full = this.#length > this.#model.engine.config.nCtx;
    return full && this.#settings.overflow === "stop" ? "context" : undefined;
  }

  /** What to run next: the tokens that the model has not seen yet, and a draft of those to come. */
  extension(): Extension {
    const tokens = this.#unseen();
    const room = Math.min(this.#left - 1, this.#model.engine.config.nCtx - this.#length);
    this.#draft = this.#lookup?.draft(room) ?? [];
    this.#accepted = 0;
    this.#rejected = false;
    return { sequence: this.sequence!, tokens: [...tokens, ...this.#draft], logits: 1 + this.#draft.length };
  }

  /**
   * Verifies the draft: takes the logits after the last token, then after each draft token until one is rejected. Every
   * token is drawn from the model's own distribution, as without a draft, so the sample is the same.
   */
  follow(logits: LogitsRow): GeneratedToken[] {
    if (this.finished || this.#rejected) return [];
    const next = this.next(logits);
    if (next.token === this.#draft[this.#accepted]) this.#accepted++;
    else this.#rejected = true;
    return [next];
  }

  /** After a run: rolls the cache back to the accepted part of the draft. */
  settle(): void {
    if (this.#draft.length === 0) return;
    this.#lookup!.learn(this.#accepted);
    const rejected = this.#draft.length - this.#accepted;
    this.sequence!.truncate(this.sequence!.length - rejected);
  }

  /** The tokens to add to the sequence: the newest, or if that would outgrow the context, its last half, recomputed. */
  #unseen(): number[] {
    const { nCtx } = this.#model.engine.config;
    if (this.#length <= nCtx) return this.#tokens.slice(-1);
    this.sequence!.truncate(0);
    this.#length = halfContext(nCtx);
    return this.#tokens.slice(-this.#length);
  }
}
