import { randomBytes } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { checkTemplate, TEMPLATE_FILE, TEMPLATES, type Template, type TextPart } from "../data/examples/template.js";
import { readSmallJson } from "../data/small-file.js";
import { ContextLengthError, GPT2Error, UsageError } from "../errors.js";
import type { GenerationModel } from "../generate/generate.js";
import { marksGreedy, type WatermarkOptions, watermarkSettings } from "../generate/watermark/options.js";
import type { GPT2 } from "../gpt2.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { ApiError, invalid } from "./api-error.js";
import { Metrics } from "./metrics.js";

export interface ServiceLimits {
  /** Sequences that may wait to be computed. */
  readonly queue: number;
  /** Prompt tokens that may wait. */
  readonly queueTokens: number;
  /** Seconds after which a request is aborted. */
  readonly timeout: number;
  /** Seconds that a client may read none of what is sent to it. */
  readonly stall: number;
}

/** The context of a request besides its body. */
export interface Caller {
  /** The name of its key. Keys do not share cached prompts, whose timing would reveal them. */
  readonly key: string;
  /** Aborted when the client leaves or the time limit is reached. */
  readonly signal: AbortSignal;
  /** Its arrival, by `performance.now()`. */
  readonly start: number;
  readonly path: string;
}

/** The served model, its names, and the limits of its queue. */
export class Service {
  readonly model: GPT2;
  readonly name: string;
  readonly limits: ServiceLimits;
  readonly metrics = new Metrics();
  readonly created = Math.floor(Date.now() / 1000);
  readonly template: Template;
  /** Whether the model has its own chat template. */
  readonly ownTemplate: boolean;
  /** Marks all texts that are generated. */
  readonly watermark: WatermarkOptions | undefined;
  /** A smaller model that drafts for it. */
  readonly draft: GPT2 | undefined;
  draining = false;
  /** Requests over whole texts, which have their own queue, and their tokens. */
  readonly #reading = { requests: 0, tokens: 0 };

  constructor(model: GPT2, name: string, limits: ServiceLimits, watermark?: WatermarkOptions, draft?: GPT2) {
    this.model = model;
    this.draft = draft;
    this.name = name;
    this.limits = limits;
    this.watermark = watermark;
    if (watermark) watermarkSettings(watermark);
    const own = templateOf(model);
    this.template = own ?? TEMPLATES.chat!;
    this.ownTemplate = own !== undefined;
  }

  get tokenizer(): Tokenizer {
    if (this.model.tokenizer) return this.model.tokenizer;
    throw new ApiError(400, "the model has no tokenizer: send token ids", { code: "no_tokenizer" });
  }

  /** The adapter that a model's name stands for; null for the base model. @throws {ApiError} there is no such model. */
  adapterOf(name: string | undefined): string | null {
    if (name === undefined || name === this.name) return null;
    if (this.model.adapters.includes(name)) return name;
    throw new ApiError(404, `The model ${JSON.stringify(name.slice(0, 100))} does not exist`, {
      param: "model",
      code: "model_not_found",
    });
  }

  generation(name: string | undefined): GenerationModel {
    return this.model.generation({ adapter: this.adapterOf(name) });
  }

  /** Checks a prompt's token ids. @throws {ApiError} it is too long, or an id is outside the vocabulary. */
  promptIds(prompt: string | readonly number[], param: string, truncate: boolean): number[] {
    const { nCtx, vocabSize } = this.model.config;
    let ids = typeof prompt === "string" ? Array.from(this.tokenizer.encode(prompt)) : [...prompt];
    const bad = ids.findIndex((id) => id >= vocabSize);
    if (bad >= 0) throw invalid(`${param}[${bad}]`, `expected a token id below ${vocabSize}, got ${ids[bad]}`);
    if (ids.length === 0) ids = this.start();
    if (truncate && ids.length > nCtx) ids = ids.slice(-Math.max(1, nCtx >> 1));
    return this.checkFits(ids, param);
  }

  checkFits(ids: number[], param: string): number[] {
    const { nCtx } = this.model.config;
    if (ids.length <= nCtx) return ids;
    const message = `This model's maximum context length is ${nCtx} tokens; the prompt has ${ids.length}`;
    throw new ApiError(400, message, { param, code: "context_length_exceeded" });
  }

  /** Token ids of a template's parts. */
  partIds(parts: readonly TextPart[]): number[] {
    return parts.flatMap((part, i) => {
      if (typeof part !== "string") return this.start();
      return [...this.tokenizer.encode(part, { addSpecialTokens: i === 0, continues: i > 0 })];
    });
  }

  start(): number[] {
    const { endOfText } = this.model;
    if (endOfText !== undefined) return [endOfText];
    throw invalid("prompt", "expected at least one token: the model has no token that starts a text");
  }

  /** @throws {ApiError} the queue is full, or the server is shutting down. */
  admit(sequences: number, tokens: number): void {
    this.#checkOpen();
    const { waiting, waitingTokens } = this.model.generation().scheduler.status;
    const { queue, queueTokens } = this.limits;
    // Alone, a prompt of any length may wait.
    const most = waiting === 0 ? Math.max(queueTokens, tokens) : queueTokens;
    if (waiting + sequences > queue || waitingTokens + tokens > most) throw this.#full();
  }

  /** Work over whole texts of so many tokens. @throws {ApiError} as {@link admit} */
  async read<T>(tokens: number, work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    const { queue, queueTokens } = this.limits;
    const reading = this.#reading;
    const most = reading.requests === 0 ? Math.max(queueTokens, tokens) : queueTokens;
    if (reading.requests >= queue || reading.tokens + tokens > most) throw this.#full();
    reading.requests++;
    reading.tokens += tokens;
    try {
      return await work();
    } finally {
      reading.requests--;
      reading.tokens -= tokens;
    }
  }

  /** Requests over whole texts that wait or are computed. */
  get reading(): number {
    return this.#reading.requests;
  }

  #checkOpen(): void {
    if (this.draining) throw new ApiError(503, "The server is shutting down", { code: "shutting_down", retryAfter: 5 });
  }

  #full(): ApiError {
    this.metrics.refused.add();
    const { waiting, running } = this.model.generation().scheduler.status;
    const retryAfter = Math.min(30, 0.5 + (waiting + running + this.reading) / 16);
    return new ApiError(429, "The queue is full; try again later", { code: "queue_full", retryAfter });
  }

  /** Prompts share the cache within this: the cache's timing tells a caller nothing about other keys' prompts. */
  scope(key: string, salt: string): string {
    return `${key} ${salt}`;
  }

  /** The mark of a text; most schemes can mark nothing where the likeliest token is always taken. */
  watermarkAt(temperature: number): WatermarkOptions | undefined {
    return temperature > 0 || marksGreedy(this.watermark?.scheme ?? "gumbel") ? this.watermark : undefined;
  }

  /** An id such as `cmpl-…`. */
  newId(prefix: string): string {
    return `${prefix}-${randomBytes(12).toString("hex")}`;
  }
}

/** The template in the model's folder, if it was trained with one. */
function templateOf({ path }: GPT2): Template | undefined {
  if (path === undefined) return undefined;
  const file = join(statSync(path).isDirectory() ? path : dirname(path), TEMPLATE_FILE);
  return existsSync(file) ? checkTemplate(readSmallJson(file, { expected: "a template" }), file) : undefined;
}

/** The API's error for one of the library: invalid values are reported to the client, the rest is not disclosed. */
export function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ContextLengthError) return new ApiError(400, error.message, { code: "context_length_exceeded" });
  if (error instanceof UsageError) return new ApiError(400, error.message);
  if (error instanceof GPT2Error) return new ApiError(500, "The model failed", { code: "model_error" });
  return new ApiError(500, "Internal error", { code: "internal_error" });
}
