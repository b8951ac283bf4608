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
  /** How many requests are computed together, and what is cached for later ones. */
  readonly scheduling?: SchedulerOptions | undefined;
}

/**
 * A language model that generates and scores text: a GPT-2 or a GPT-Neo. Calls may overlap; each has its own sequences. This class
 * only delegates. The network is one screen in src/architectures/pre-norm/forward.ts, generation a loop in src/generate/generate.ts.
 * docs/generation.md describes the methods, docs/tasks.md tasks, docs/finetuning.md adapters, labels and numbers.
 *
 *     const model = await GPT2.load("path/to/model");
 *     for await (const { text } of model.generate("Once upon a time")) process.stdout.write(text);
 */
export class GPT2 extends LoadedModel {
  /** Tokens that end generation, as the model's files say; usually only `endOfText`. */
  readonly eosTokenIds: readonly number[];
  /** Default sampling: the model's generation_config.json, then the defaults of {@link GenerateOptions}. */
  readonly sampling: SamplingSettings;
  readonly #scheduler: Scheduler;

  /** Makes a model of weights in memory; {@link GPT2.load} reads files. */
  constructor(parts: ModelParts, scheduling?: SchedulerOptions) {
    super(parts);
    this.eosTokenIds = parts.eosTokenIds ?? (this.endOfText === undefined ? [] : [this.endOfText]);
    this.sampling = parts.sampling ?? SAMPLING_DEFAULTS;
    const engine = new Engine(parts.backend, parts.config, parts.weights, parts);
    this.#scheduler = new Scheduler(engine, scheduling);
  }

  /**
   * Loads a model by name: a folder or file of any format, a preset such as `gpt2-medium`, or a model of the Hugging Face
   * hub, fetched into its cache (docs/models.md). Default: the model that comes with the package.
   *
   * @throws {CheckpointError} there is no such model, or it is malformed.
   * @throws {DownloadError} it can't be fetched.
   * @throws {BackendError} the requested backend is not available.
   * @throws {UsageError} there are no files, as in a browser. Use {@link GPT2.fetch} there.
   */
  static async load(name?: string, { scheduling, ...options }: LoadOptions & ScheduleOption = {}): Promise<GPT2> {
    needNode("GPT2.load", 'In a page: await GPT2.fetch("models/mine/"), from your server or the hub');
    const { loadModel } = await import("#node/pretrained/load.js");
    return new GPT2(await loadModel(name, options), scheduling);
  }

  /**
   * Fetches a model into memory, without files, as in a browser: from the address of a folder (`models/tiny/`) or file, or by
   * the name of a preset or a model of the hub.
   *
   * @throws {DownloadError} a file can't be fetched.
   * @throws {CheckpointError} there is no such model, or it is malformed.
   */
  static async fetch(name: string, options: FetchModelOptions = {}): Promise<GPT2> {
    const { fetchModelParts } = await import("./pretrained/fetch.js");
    return new GPT2(await fetchModelParts(name, options));
  }

  /**
   * Continues a prompt, token by token. An empty prompt starts a new text. Leave the loop to stop early.
   *
   * @throws {UsageError} an option is out of range, or an id is outside the vocabulary.
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

  /** Continues many prompts, each until a stop string: see {@link GenerateUntilRequest}. */
  async generateUntil(
    requests: readonly GenerateUntilRequest<TextOrIds>[],
    options: RequestOptions = {},
  ): Promise<Generation[]> {
    const { generateUntil } = await import("./gpt2/requests.js");
    return generateUntil(this.#generation(options), this.ids, requests, options);
  }

  /**
   * Tests a text for the watermark that `generate` leaves with the same options. Needs no run of the model.
   *
   *     const { verdict, pValue } = await model.verifyWatermark(text, { scheme: "gumbel", key: "secret" });
   *
   * @throws {UsageError} an option is out of range.
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
   * Scores a text, or each of several: log-probability of each token, perplexity, bits per byte.
   *
   * @throws {UsageError} a text or its context is empty, or an id is outside the vocabulary.
   */
  score(texts: readonly TextOrIds[], options?: ScoreOptions): Promise<Score[]>;
  score(text: TextOrIds, options?: ScoreOptions): Promise<Score>;
  async score(input: OneOrMany, options: ScoreOptions = {}): Promise<Score | Score[]> {
    const { scoreTexts } = await import("./gpt2/score.js");
    const model = this.#generation(options);
    return oneOrMany(input, (texts) => scoreTexts(model, this.ids, texts, options));
  }

  /**
   * Measures how much a text, or each of several, looks machine-written: ranks, log-rank, Fast-DetectGPT's curvature, with an
   * observer Binoculars' ratio; and, if the model has a calibration, the shares of human texts that score as high.
   *
   * @throws {UsageError} a text or its context is empty, an id is outside the vocabulary, or the observer has another vocabulary.
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
   * Log-likelihoods of continuations after contexts, many at once. A common prefix is computed once.
   *
   * @throws {UsageError} a continuation is empty, or an id is outside the vocabulary.
   * @throws {ContextLengthError} a continuation is longer than the model's context.
   */
  async logLikelihoods(
    requests: readonly LogLikelihoodRequest<TextOrIds>[],
    options: RequestOptions = {},
  ): Promise<LogLikelihood[]> {
    const { logLikelihoods } = await import("./gpt2/requests.js");
    return logLikelihoods(this.#generation(options), this.ids, requests, options);
  }

  /**
   * Finds the likeliest of several texts after a context. They follow it unchanged, so most begin with a space.
   *
   * @throws {UsageError} there are no candidates, or one is empty.
   * @throws {ContextLengthError} a candidate does not fit into the model's context.
   */
  async choose(context: string, candidates: readonly string[], options: ChooseOptions = {}): Promise<Choice> {
    const { choose } = await import("./tasks/choose.js");
    return choose(this, context, candidates, options);
  }

  /** Returns logits [T, V] after each of the ids. @throws {ContextLengthError} there are more ids than the context holds. */
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
