import type { BeamOptions } from "../generate/beam/options.js";
import type { BeamResult } from "../generate/beam/run.js";
import { bestOf, checkBestOf } from "../generate/best-of.js";
import { Engine } from "../generate/engine.js";
import { type GeneratedToken, type GenerationModel, generateTokens } from "../generate/generate.js";
import { type GenerateSettings, generateSettings } from "../generate/options.js";
import type { GenerateUntilRequest, Generation } from "../generate/requests.js";
import { Scheduler, type SchedulerOptions } from "../generate/scheduler.js";
import { LoadedModel } from "../model/loaded-model.js";
import type { AdapterOption, TextOrIds } from "../model/options.js";
import type { ModelParts } from "../pretrained/model-parts.js";
import { SAMPLING_DEFAULTS, type SamplingSettings } from "../pretrained/sampling-options.js";
import { collectCompletions } from "./completions.js";
import type { Completion, CompletionsOptions, RequestOptions, TextOptions } from "./options.js";

/** A model that generates text: encodes prompts, and hands token ids to the engine (src/generate). */
export class GeneratingModel extends LoadedModel {
  /** Tokens that end generation, as the model's files say; usually only `endOfText`. */
  readonly eosTokenIds: readonly number[];
  /** Default sampling: the model's generation_config.json, then the defaults of {@link GenerateOptions}. */
  readonly sampling: SamplingSettings;
  readonly #scheduler: Scheduler;

  /** Makes a model of weights in memory; `GPT2.load` reads files. */
  constructor(parts: ModelParts, scheduling?: SchedulerOptions) {
    super(parts);
    this.eosTokenIds = parts.eosTokenIds ?? (this.endOfText === undefined ? [] : [this.endOfText]);
    this.sampling = parts.sampling ?? SAMPLING_DEFAULTS;
    const engine = new Engine(parts.backend, parts.config, parts.weights, parts);
    this.#scheduler = new Scheduler(engine, scheduling);
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
    yield* generateTokens(this.generation(options), this.ids.encode(prompt), { ...settings, draft: drafting });
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
    const { beamSettings } = await import("../generate/beam/options.js");
    const { beamSearch } = await import("../generate/beam/run.js");
    const settings = beamSettings(options);
    if (settings.stop.length > 0) this.ids.needTokenizer("stop strings");
    return beamSearch(this.generation(options), this.ids.encode(prompt), settings);
  }

  /** Continues many prompts, each until a stop string: see {@link GenerateUntilRequest}. */
  async generateUntil(
    requests: readonly GenerateUntilRequest<TextOrIds>[],
    options: RequestOptions = {},
  ): Promise<Generation[]> {
    const { generateUntil } = await import("./requests.js");
    return generateUntil(this.generation(options), this.ids, requests, options);
  }

  protected override releaseRuns(): Promise<void> {
    return this.#scheduler.dispose();
  }

  /** @internal The setting for generating with a draft model. */
  async drafting(
    draft: GeneratingModel,
    tokens: number | undefined,
    settings: GenerateSettings,
  ): Promise<GenerateSettings["draft"]> {
    const { draftSetting } = await import("./draft.js");
    const own = { generation: this.generation({ adapter: null }), tokenizer: this.tokenizer };
    const other = { generation: draft.generation({ adapter: null }), tokenizer: draft.tokenizer };
    return draftSetting(own, other, tokens, settings);
  }

  /** @internal What generates and scores on a model: for requests that know token ids, those of a server. */
  generation(options: AdapterOption = {}): GenerationModel {
    const { tokenizer, endOfText, eosTokenIds, config } = this;
    return {
      scheduler: this.#scheduler,
      vocabLimit: Math.min(config.vocabSize, tokenizer?.vocabSize ?? config.vocabSize),
      endOfText,
      eosTokenIds,
      adapter: this.adapterOf(options),
      text: tokenizer && ((stop) => tokenizer.textStream(stop)),
      constraint:
        tokenizer && (async (given) => (await import("../constrain/open.js")).openConstraint(given, tokenizer)),
    };
  }
}
