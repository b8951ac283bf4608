import { UsageError } from "../errors.js";
import { samplingSettings } from "../pretrained/sampling-options.js";
import { RandomStream } from "../util/random.js";
import type { LogitsRow } from "./engine.js";
import type { TokenText } from "./generate.js";
import type { Continuation, Job, Step } from "./job.js";
import type { EngineRunOptions } from "./log-likelihood.js";
import type { GenerateUntilRequest, Generation } from "./requests.js";
import { runJobs } from "./run-jobs.js";
import { Sampler } from "./sampler.js";
import type { RowSummary, SummarySettings } from "./sampling/row-summary.js";
import type { Scheduler } from "./scheduler.js";

export interface GenerateUntilOptions extends EngineRunOptions {
  /** Makes the decoder of one text. Called once for each text. */
  readonly text: (stop: readonly string[]) => TokenText;
  /** Tokens that end a text. */
  readonly eosTokenIds: readonly number[];
}

/**
 * Answers generation requests, in order. Texts are generated in shared runs, a new one starts when another ends, and the
 * model reads a common prefix of prompts once.
 *
 * @throws {UsageError} an empty prompt, or an id outside the vocabulary.
 */
export async function runGenerations(
  scheduler: Scheduler,
  requests: readonly GenerateUntilRequest[],
  options: GenerateUntilOptions,
): Promise<Generation[]> {
  const { nCtx, vocabSize } = scheduler.engine.config;
  const { adapter, scope } = options;
  const texts = requests.map((request, index) => new Text(request, index, nCtx, vocabSize, options));
  const jobs = texts
    .filter(({ left }) => left > 0)
    .map((text): Job => ({ tokens: text.tokens, adapter, scope, continuation: text }));
  let done = 0;
  await runJobs(scheduler, jobs, { signal: options.signal, onDone: () => options.onProgress?.(++done) });
  return texts.map((text) => text.result());
}

/** The generated text of one request. */
class Text implements Continuation {
  /** The prompt, truncated to the context. */
  readonly tokens: readonly number[];
  left: number;
  #ended = false;
  #token = 0;
  readonly #makeSampler: () => Sampler;
  #sampler: Sampler | undefined;
  readonly #stream: TokenText;
  readonly #eosTokenIds: readonly number[];
  #text = "";
  #logprob = 0;
  #count = 0;

  constructor(
    { prompt, maxNewTokens, until = [], topK = 1, seed = 0 }: GenerateUntilRequest,
    index: number,
    nCtx: number,
    vocabSize: number,
    { vocabLimit = vocabSize, text, eosTokenIds }: GenerateUntilOptions,
  ) {
    if (prompt.length === 0) {
      throw new UsageError({ op: `generation request ${index}`, expected: "a prompt", got: "none" });
    }
    if (!(Number.isSafeInteger(maxNewTokens) && maxNewTokens >= 0)) {
      throw new UsageError({ op: "maxNewTokens", expected: "0 or a positive integer", got: String(maxNewTokens) });
    }
    const room = Math.max(1, nCtx - maxNewTokens);
    this.tokens = prompt.slice(-room);
    this.left = Math.min(maxNewTokens, nCtx - this.tokens.length + 1);
    const settings = samplingSettings({ temperature: topK === 1 ? 0 : 1, topK });
    // A sampler is as large as the vocabulary, so it is created only when the text starts.
    this.#makeSampler = () => new Sampler(settings, vocabLimit, new RandomStream(seed));
    this.#stream = text(until);
    this.#eosTokenIds = eosTokenIds;
  }

  get summary(): SummarySettings {
    return this.#own().wanted;
  }

  #own(): Sampler {
    this.#sampler ??= this.#makeSampler();
    return this.#sampler;
  }

  sample(logits: LogitsRow, summary?: RowSummary): number {
    const token = this.#own().sample(logits, summary);
    this.#token = token;
    this.#count++;
    this.left--;
    const atEnd = this.#eosTokenIds.includes(token);
    if (!atEnd) this.#text += this.#stream.push(token);
    this.#ended = atEnd || this.left === 0 || this.#stream.stopped;
    if (this.#ended) this.#finish();
    return token;
  }

  accept(logprob: number): void {
    this.#logprob += logprob;
  }

  next(): Step | undefined {
    if (this.#ended) return undefined;
    return { tokens: [this.#token], keep: this.tokens.length + this.#count - 1 };
  }

  #finish(): void {
    this.#text += this.#stream.end();
    this.#sampler = undefined;
  }

  result(): Generation {
    return { text: this.#text, logprob: this.#logprob, tokens: this.#count };
  }
}
