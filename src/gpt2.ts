/// <reference lib="esnext.disposable" preserve="true" />

import type { BeamOptions } from "./generate/beam/options.js";
import type { BeamResult } from "./generate/beam/run.js";
import { bestOf, checkBestOf } from "./generate/best-of.js";
import { Engine } from "./generate/engine.js";
import { type GeneratedToken, type GenerationModel, generateTokens } from "./generate/generate.js";
import { type GenerateSettings, generateSettings } from "./generate/options.js";
import type { GenerateUntilRequest, Generation, LogLikelihood, LogLikelihoodRequest } from "./generate/requests.js";
import { Scheduler, type SchedulerOptions } from "./generate/scheduler.js";
import type { WatermarkOptions } from "./generate/watermark/options.js";
import { collectCompletions } from "./gpt2/completions.js";
import type {
  Completion,
  CompletionsOptions,
  DetectOptions,
  LogitsOptions,
  RequestOptions,
  Score,
  ScoreOptions,
  TextOptions,
} from "./gpt2/options.js";
import type { Detection } from "./misuse/detect/detect.js";
import type { VerifyWatermarkOptions, WatermarkReport } from "./misuse/watermark/verify.js";
import { LoadedModel } from "./model/loaded-model.js";
import { type OneOrMany, oneOrMany } from "./model/one-or-many.js";
import type { AdapterOption, TextOrIds } from "./model/options.js";
import type { FetchModelOptions } from "./pretrained/fetch.js";
import type { LoadOptions } from "./pretrained/load.js";
import type { ModelParts } from "./pretrained/model-parts.js";
import { SAMPLING_DEFAULTS, type SamplingSettings } from "./pretrained/sampling-options.js";
import type { Choice, ChooseOptions } from "./tasks/choose.js";
import { Tasks } from "./tasks/tasks.js";
import { needNode } from "./util/runtime.js";

export interface ScheduleOption {
  /** How many requests are computed side by side, and what is kept for later ones. */
  readonly scheduling?: SchedulerOptions | undefined;
}

/**
 * A language model, ready to generate and score text: a GPT-2 or a GPT-Neo. Calls may overlap; each has sequences of its own.
 * docs/generation.md describes them, docs/tasks.md tasks, docs/finetuning.md adapters, labels and numbers.
 *
 *     const model = await GPT2.load("path/to/model");
 *     for await (const { text } of model.generate("Once upon a time")) process.stdout.write(text);
 */
export class GPT2 extends LoadedModel {
  /** Tokens at which generation stops, as the model's files say; usually `endOfText` alone. */
  readonly eosTokenIds: readonly number[];
  /** Default sampling: what the model's generation_config.json says, then {@link GenerateOptions}' defaults. */
  readonly sampling: SamplingSettings;
  readonly #scheduler: Scheduler;

  /** For weights that are in memory already; from files: {@link GPT2.load}. */
  constructor(parts: ModelParts, scheduling?: SchedulerOptions) {
    super(parts);
    this.eosTokenIds = parts.eosTokenIds ?? (this.endOfText === undefined ? [] : [this.endOfText]);
    this.sampling = parts.sampling ?? SAMPLING_DEFAULTS;
    const engine = new Engine(parts.backend, parts.config, parts.weights, parts);
    this.#scheduler = new Scheduler(engine, scheduling);
  }

  /**
   * Loads a model by name: a folder or file of any format, a preset such as `gpt2-medium`, or a model of the Hugging Face
   * hub, fetched into its cache (docs/models.md). By default the model that comes with the package.
   *
   * @throws {CheckpointError} there is no such model, or it is malformed.
   * @throws {DownloadError} it can't be fetched.
   * @throws {BackendError} the requested backend is not available.
   * @throws {UsageError} there are no files here, as in a browser, where {@link GPT2.fetch} loads models.
   */
  static async load(name?: string, { scheduling, ...options }: LoadOptions & ScheduleOption = {}): Promise<GPT2> {
    needNode("GPT2.load", 'In a page: await GPT2.fetch("models/mine/"), from your server or the hub');
    const { loadModel } = await import("#node/pretrained/load.js");
    return new GPT2(await loadModel(name, options), scheduling);
  }

  /**
   * Loads a model without files, as in a browser: fetched into memory from the address of a folder (`models/tiny/`) or file,
   * or by the name of a preset or a model of the hub.
   *
   * @throws {DownloadError} a file can't be fetched.
   * @throws {CheckpointError} there is no such model, or it is malformed.
   */
  static async fetch(name: string, options: FetchModelOptions = {}): Promise<GPT2> {
    const { fetchModelParts } = await import("./pretrained/fetch.js");
    return new GPT2(await fetchModelParts(name, options));
  }

  /**
   * Continues a prompt, token by token; an empty one starts a new text. Leave the loop to stop early.
   *
   * @throws {UsageError} an option out of range, or an id outside the vocabulary.
   * @throws {ContextLengthError} the prompt has more tokens than the context.
   */
  async *generate(prompt: TextOrIds = "", options: TextOptions = {}): AsyncGenerator<GeneratedToken, void, undefined> {
    const { draft, draftTokens, ...rest } = options;
    const settings = generateSettings(rest, this.sampling);
    if (settings.stop.length > 0) this.ids.needTokenizer("stop strings");
    const drafting = draft && (await this.drafting(draft, draftTokens, settings));
    yield* generateTokens(this.#generation(options), this.ids.encode(prompt), { ...settings, draft: drafting });
  }

  /** The whole continuation at once. */
  async complete(prompt: TextOrIds = "", options: Omit<TextOptions, "samples"> = {}): Promise<Completion> {
    const [completion] = await this.completions(prompt, { ...options, samples: 1 });
    return completion!;
  }

  /** `samples` continuations of the prompt, computed together; with `bestOf` the likeliest of so many, best first. */
  async completions(prompt: TextOrIds = "", options: CompletionsOptions = {}): Promise<Completion[]> {
    const { samples = 1, bestOf: count = samples, ...rest } = options;
    checkBestOf(count, samples);
    const all = await collectCompletions(this.generate(prompt, { ...rest, samples: count }), count);
    return count === samples ? all : bestOf(all, samples, ({ logprobs }) => logprobs);
  }

  /**
   * The likeliest continuations of a prompt by beam search, best first: beams are computed side by side, and the result is
   * that of Hugging Face transformers; with `groups` continuations that differ (diverse beam search).
   *
   * @throws {UsageError} an option out of range, or an id outside the vocabulary.
   * @throws {ContextLengthError} the prompt has more tokens than the context.
   */
  async beamSearch(prompt: TextOrIds = "", options: BeamOptions = {}): Promise<BeamResult[]> {
    const { beamSettings } = await import("./generate/beam/options.js");
    const { beamSearch } = await import("./generate/beam/run.js");
    const settings = beamSettings(options);
    if (settings.stop.length > 0) this.ids.needTokenizer("stop strings");
    return beamSearch(this.#generation(options), this.ids.encode(prompt), settings);
  }

  /** Continuations of many prompts, each until a stop string: see {@link GenerateUntilRequest}. */
  async generateUntil(
    requests: readonly GenerateUntilRequest<TextOrIds>[],
    options: RequestOptions = {},
  ): Promise<Generation[]> {
    const { generateUntil } = await import("./gpt2/requests.js");
    return generateUntil(this.#generation(options), this.ids, requests, options);
  }

  /**
   * Whether a text has the watermark of a key, by the text alone: `generate` with the same options marks it.
   *
   *     const { verdict, pValue } = await model.verifyWatermark(text, { scheme: "gumbel", key: "secret" });
   *
   * @throws {UsageError} an option out of range.
   */
  async verifyWatermark(
    text: TextOrIds,
    watermark: WatermarkOptions,
    options: Omit<VerifyWatermarkOptions, "tokenizer" | "vocabSize"> = {},
  ): Promise<WatermarkReport> {
    const { verifyWatermark } = await import("./misuse/watermark/verify.js");
    return verifyWatermark(text, watermark, {
      ...options,
      tokenizer: this.tokenizer,
      vocabSize: this.config.vocabSize,
    });
  }

  /** Tasks stated by a prompt: `model.task.translate("…", { to: "fr" })`, summarize, answer, complete, classify. */
  get task(): Tasks {
    return new Tasks(this);
  }

  /**
   * How likely the model finds a text, or each of several: log-probability of each token, perplexity, bits per byte.
   *
   * @throws {UsageError} a text or its context is empty, or an id outside the vocabulary.
   */
  score(texts: readonly TextOrIds[], options?: ScoreOptions): Promise<Score[]>;
  score(text: TextOrIds, options?: ScoreOptions): Promise<Score>;
  async score(input: OneOrMany, options: ScoreOptions = {}): Promise<Score | Score[]> {
    const { scoreTexts } = await import("./gpt2/score.js");
    const model = this.#generation(options);
    return oneOrMany(input, (texts) => scoreTexts(model, this.ids, texts, options));
  }

  /**
   * How much a text, or each of several, looks like a model's: ranks, log-rank, Fast-DetectGPT's curvature, Binoculars'
   * ratio with an observer; and the shares of human texts that score as high, where the model has a calibration.
   *
   * @throws {UsageError} a text or its context is empty, an id outside the vocabulary, an observer with another one.
   */
  detect(texts: readonly TextOrIds[], options?: DetectOptions): Promise<Detection[]>;
  detect(text: TextOrIds, options?: DetectOptions): Promise<Detection>;
  async detect(input: OneOrMany, options: DetectOptions = {}): Promise<Detection | Detection[]> {
    const { detectTexts } = await import("./gpt2/detect.js");
    const { observer } = options;
    const engines = { own: this.#generation(options), observer: observer ? observer.#generation({}) : undefined };
    return oneOrMany(input, (texts) => detectTexts(this, engines, this.ids, texts, options));
  }

  /**
   * How likely continuations are after contexts, many at once; a common beginning is computed once.
   *
   * @throws {UsageError} an empty continuation, or an id outside the vocabulary.
   * @throws {ContextLengthError} a continuation longer than the context.
   */
  async logLikelihoods(
    requests: readonly LogLikelihoodRequest<TextOrIds>[],
    options: RequestOptions = {},
  ): Promise<LogLikelihood[]> {
    const { logLikelihoods } = await import("./gpt2/requests.js");
    return logLikelihoods(this.#generation(options), this.ids, requests, options);
  }

  /**
   * The likeliest of several texts after a context, which they follow as they are: most begin with a space.
   *
   * @throws {UsageError} no candidates, or an empty one.
   * @throws {ContextLengthError} one that does not fit into the context.
   */
  async choose(context: string, candidates: readonly string[], options: ChooseOptions = {}): Promise<Choice> {
    const { choose } = await import("./tasks/choose.js");
    return choose(this, context, candidates, options);
  }

  /** Logits [T, V] after each of the ids. @throws {ContextLengthError} more ids than the context has room for. */
  async logits(ids: ArrayLike<number>, options: LogitsOptions = {}): Promise<Float32Array> {
    const given = Array.from(ids); // a copy: the caller may change them during the call
    const { allLogits } = await import("./gpt2/logits.js");
    return allLogits(this.#generation(options), this.ids, given, options);
  }

  protected override releaseRuns(): Promise<void> {
    return this.#scheduler.dispose();
  }

  /** @internal The setting for generating with a draft model. */
  async drafting(
    draft: GPT2,
    tokens: number | undefined,
    settings: GenerateSettings,
  ): Promise<GenerateSettings["draft"]> {
    const { draftSetting } = await import("./gpt2/draft.js");
    const own = { generation: this.#generation({ adapter: null }), tokenizer: this.tokenizer };
    const other = { generation: draft.#generation({ adapter: null }), tokenizer: draft.tokenizer };
    return draftSetting(own, other, tokens, settings);
  }

  /** @internal What requests that know token ids run on: those of a server. */
  generation(options: AdapterOption = {}): GenerationModel {
    return this.#generation(options);
  }

  #generation(options: AdapterOption): GenerationModel {
    const { tokenizer, endOfText, eosTokenIds, config } = this;
    return {
      scheduler: this.#scheduler,
      vocabLimit: Math.min(config.vocabSize, tokenizer?.vocabSize ?? config.vocabSize),
      endOfText,
      eosTokenIds,
      adapter: this.adapterOf(options),
      text: tokenizer && ((stop) => tokenizer.textStream(stop)),
      constraint:
        tokenizer && (async (given) => (await import("./constrain/open.js")).openConstraint(given, tokenizer)),
    };
  }
}
