import { UsageError } from "../errors.js";
import { samplingSettings } from "../pretrained/sampling-options.js";
import { RandomStream } from "../util/random.js";
import type { Engine, LogitsRow, Sequence } from "./engine.js";
import type { TokenText } from "./generate.js";
import { laneCount, openLanes, sharedByAll } from "./lanes.js";
import type { EngineRunOptions } from "./log-likelihood.js";
import type { GenerateUntilRequest, Generation } from "./requests.js";
import { Sampler } from "./sampler.js";

export interface GenerateUntilOptions extends EngineRunOptions {
  /** Called once for each text. */
  readonly text: (stop: readonly string[]) => TokenText;
  /** Tokens that end a text. */
  readonly eosTokenIds: readonly number[];
}

/**
 * Answers generation requests, in order. Texts grow side by side in shared runs, a new one starting when another ends,
 * and the model reads the common prefix of all prompts once.
 *
 * @throws {UsageError} an empty prompt, or an id outside the vocabulary.
 */
export async function runGenerations(
  engine: Engine,
  requests: readonly GenerateUntilRequest[],
  options: GenerateUntilOptions,
): Promise<Generation[]> {
  const { nCtx } = engine.config;
  const texts = requests.map((request, index) => new Text(request, index, nCtx, engine.config.vocabSize, options));
  if (texts.length === 0) return [];
  const longest = Math.max(...texts.map(({ tokens, left }) => tokens.length + left));
  const shared = sharedByAll(texts).slice(0, -1);
  const count = laneCount(engine, texts.length, longest);
  const lanes = (await openLanes(engine, count, shared, options)).map((sequence) => new Lane(sequence));
  const waiting = texts.filter(({ left }) => left > 0);
  let done = 0;
  try {
    for (;;) {
      for (const lane of lanes) {
        const next = lane.text === undefined ? waiting.shift() : undefined;
        if (next) lane.take(next, shared.length);
      }
      const active = lanes.filter(({ text }) => text !== undefined);
      if (active.length === 0) return texts.map((text) => text.result());
      const extensions = active.map(({ sequence, pending }) => ({ sequence, tokens: pending }));
      await engine.extend(extensions, (row, i) => active[i]!.next(row), options.signal);
      for (const lane of active) if (lane.finish()) options.onProgress?.(++done);
    }
  } finally {
    for (const { sequence } of lanes) sequence.release();
  }
}

/** A sequence of the engine, and the text that grows in it. */
class Lane {
  text: Text | undefined;
  /** Tokens not yet in the cache. */
  pending: readonly number[] = [];

  constructor(readonly sequence: Sequence) {}

  /** @param shared number of prompt tokens in the cache */
  take(text: Text, shared: number): void {
    this.sequence.truncate(shared);
    this.text = text;
    this.pending = text.tokens.slice(shared);
  }

  next(logits: LogitsRow): void {
    this.pending = [this.text!.next(logits)];
  }

  /** Frees the lane if its text is complete. Returns whether it was. */
  finish(): boolean {
    if (!this.text?.ended) return false;
    this.text = undefined;
    return true;
  }
}

/** The generated text of one request. */
class Text {
  /** The prompt, cut to the context. */
  readonly tokens: readonly number[];
  left: number;
  ended = false;
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
    // A sampler is as large as the vocabulary: it is made when the text starts.
    this.#makeSampler = () => new Sampler(settings, vocabLimit, new RandomStream(seed));
    this.#stream = text(until);
    this.#eosTokenIds = eosTokenIds;
  }

  next(logits: LogitsRow): number {
    this.#sampler ??= this.#makeSampler();
    const { token, logprob } = this.#sampler.sample(logits);
    this.#logprob += logprob;
    this.#count++;
    this.left--;
    const atEnd = this.#eosTokenIds.includes(token);
    if (!atEnd) this.#text += this.#stream.push(token);
    this.ended = atEnd || this.left === 0 || this.#stream.stopped;
    if (this.ended) this.#finish();
    return token;
  }

  #finish(): void {
    this.#text += this.#stream.end();
    this.#sampler = undefined;
  }

  result(): Generation {
    return { text: this.#text, logprob: this.#logprob, tokens: this.#count };
  }
}
