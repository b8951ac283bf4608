/// <reference lib="esnext.disposable" preserve="true" />

import type { ModelConfig } from "./architectures/config.js";
import type { TaskHead } from "./architectures/task-head.js";
import type { Backend, DeviceArray } from "./backend/backend.js";
import type { DType } from "./dtype/dtype.js";
import { DisposedError } from "./errors.js";
import type { Classification } from "./generate/classify.js";
import { Engine } from "./generate/engine.js";
import { type GeneratedToken, type GenerationModel, generateTokens } from "./generate/generate.js";
import { type GenerateOptions, generateSettings } from "./generate/options.js";
import type {
  GenerateUntilRequest,
  Generation,
  LogLikelihood,
  LogLikelihoodRequest,
  RunOptions,
} from "./generate/requests.js";
import { Adapters } from "./gpt2/adapters.js";
import { collectCompletions } from "./gpt2/completions.js";
import { type OneOrMany, oneOrMany } from "./gpt2/one-or-many.js";
import type {
  AdapterOption,
  Completion,
  EmbedOptions,
  LogitsOptions,
  ReadOptions,
  Score,
  ScoreOptions,
  TextOrIds,
} from "./gpt2/options.js";
import type { Additions, Reader } from "./gpt2/reader.js";
import { TextIds } from "./gpt2/text-ids.js";
import type { FetchModelOptions } from "./pretrained/fetch.js";
import type { LoadOptions } from "./pretrained/load.js";
import type { LoadedHead } from "./pretrained/loaded-head.js";
import type { ModelParts } from "./pretrained/model-parts.js";
import { SAMPLING_DEFAULTS, type SamplingSettings } from "./pretrained/sampling-options.js";
import type { Choice, ChooseOptions } from "./tasks/choose.js";
import { Tasks } from "./tasks/tasks.js";
import type { Tokenizer } from "./tokenizer/tokenizer.js";
import { needNode } from "./util/runtime.js";

/**
 * A GPT-2, ready to generate and to score text. Calls may overlap; each has sequences of its own.
 *
 *     const model = await GPT2.load("path/to/model");
 *     for await (const { text } of model.generate("Once upon a time")) process.stdout.write(text);
 */
export class GPT2 {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** Id of the token that ends a text and starts the next. */
  readonly endOfText: number | undefined;
  /** Storage dtype of most weights. */
  readonly dtype: DType;
  /** Default sampling: what the model's generation_config.json says, then {@link GenerateOptions}' defaults. */
  readonly sampling: SamplingSettings;
  /** Why the native kernels could not be used, if they were to be tried. */
  readonly fallback: Error | undefined;
  /** Tokens at which generation stops, as the model's files say; usually {@link endOfText} alone. */
  readonly eosTokenIds: readonly number[];
  readonly #engine: Engine;
  readonly #ids: TextIds;
  readonly #adapters: Adapters;
  readonly #head: LoadedHead | undefined;
  #weights: ModelParts["weights"] | undefined;
  #owned: readonly { dispose(): void | Promise<void> }[];
  #reader: Promise<Reader> | undefined;
  #disposed: Promise<void> | undefined;

  /** For weights that are in memory already; from files: {@link GPT2.load}. */
  constructor(parts: ModelParts) {
    const { backend, config, weights, tokenizer } = parts;
    this.config = config;
    this.sampling = parts.sampling ?? SAMPLING_DEFAULTS;
    this.tokenizer = tokenizer;
    this.endOfText = parts.endOfText ?? tokenizer?.endOfText;
    this.eosTokenIds = parts.eosTokenIds ?? (this.endOfText === undefined ? [] : [this.endOfText]);
    this.dtype = mainType(weights.values());
    this.fallback = parts.fallback;
    this.#engine = new Engine(backend, config, weights);
    this.#ids = new TextIds(tokenizer, this.endOfText, config.vocabSize, config.nCtx);
    this.#adapters = new Adapters(parts.adapters);
    this.#head = parts.head;
    this.#weights = weights;
    this.#owned = [...(parts.owned ?? [])];
  }

  /**
   * Loads a model: a folder or file of any format that `openCheckpoint` reads, with the tokenizer beside it; `gpt2`,
   * `gpt2-medium`, `gpt2-large`, `gpt2-xl` or `distilgpt2`; a model of the Hugging Face hub (`owner/name`, with
   * `@revision` or not); or the address of a file. What is not on this machine is fetched into the cache that Python's
   * huggingface_hub uses. Without a name the model that comes with the package. In a browser: {@link GPT2.fetch}.
   *
   * @throws {CheckpointError} there is no such model, or it is malformed.
   * @throws {DownloadError} it can't be fetched.
   * @throws {BackendError} the requested backend is not available.
   * @throws {UsageError} there are no files here, as in a browser.
   */
  static async load(name?: string, options: LoadOptions = {}): Promise<GPT2> {
    needNode("GPT2.load", 'In a page: await GPT2.fetch("models/mine/"), from your server or the hub');
    const { loadModel } = await import("#node/pretrained/load.js");
    return new GPT2(await loadModel(name, options));
  }

  /**
   * Loads a model without files, as in a browser: fetched into memory by `fetch`. The name is the address of a folder
   * (ending in `/`) or of a file, relative to the page or not, or as for {@link GPT2.load} a preset or a model of the hub.
   * Safetensors, GGUF, PyTorch and llm.c.
   *
   *     const model = await GPT2.fetch("models/tiny/");
   *
   * @throws {DownloadError} a file can't be fetched.
   * @throws {CheckpointError} there is no such model, or it is malformed.
   */
  static async fetch(name: string, options: FetchModelOptions = {}): Promise<GPT2> {
    const { fetchModelParts } = await import("./pretrained/fetch.js");
    return new GPT2(await fetchModelParts(name, options));
  }

  get backend(): Backend {
    return this.#engine.backend;
  }

  /** Names of the LoRA adapters that requests can choose. */
  get adapters(): string[] {
    return this.#adapters.names;
  }

  /**
   * Loads a LoRA adapter that requests can choose by a name, and replaces one of that name. Node only.
   *
   * @param path a folder in PEFT's layout, or a name on the hub.
   * @throws {CheckpointError} it is none, or for another shape of model.
   * @throws {UsageError} it changes more of the model than linear layers.
   */
  loadAdapter(name: string, path: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#adapters.load(name, path, this.backend, this.config, options);
  }

  /** Releases an adapter; requests that use it already go on with it. Returns whether there was one. */
  unloadAdapter(name: string): boolean {
    return this.#adapters.unload(name);
  }

  /**
   * Continues a prompt, token by token; an empty one makes a new text. Leave the loop to stop early. With several
   * samples, tokens of all of them take turns.
   *
   * @throws {UsageError} an option out of range, or an id outside the vocabulary.
   * @throws {ContextLengthError} the prompt has more tokens than the context.
   */
  async *generate(
    prompt: TextOrIds = "",
    options: GenerateOptions = {},
  ): AsyncGenerator<GeneratedToken, void, undefined> {
    const settings = generateSettings(options, this.sampling);
    if (settings.stop.length > 0) this.#ids.needTokenizer("stop strings");
    yield* generateTokens(this.#generationModel(options), this.#ids.encode(prompt), settings);
  }

  /** The whole continuation at once. */
  async complete(prompt: TextOrIds = "", options: Omit<GenerateOptions, "samples"> = {}): Promise<Completion> {
    const [completion] = await this.completions(prompt, { ...options, samples: 1 });
    return completion!;
  }

  /** `samples` continuations of the prompt, computed together. */
  async completions(prompt: TextOrIds = "", options: GenerateOptions = {}): Promise<Completion[]> {
    return collectCompletions(this.generate(prompt, options), options.samples ?? 1);
  }

  /**
   * How likely the model finds a text, or each of several.
   *
   * @throws {UsageError} a text or its context is empty, or an id outside the vocabulary.
   */
  score(texts: readonly TextOrIds[], options?: ScoreOptions): Promise<Score[]>;
  score(text: TextOrIds, options?: ScoreOptions): Promise<Score>;
  async score(input: OneOrMany, options: ScoreOptions = {}): Promise<Score | Score[]> {
    const { scoreTexts } = await import("./gpt2/score.js");
    const adapter = this.#adapters.get(options.adapter);
    return oneOrMany(input, (texts) => scoreTexts(this.#engine, this.#ids, texts, options, adapter));
  }

  /**
   * How likely continuations are after contexts, many at once: a common beginning is read once. A context and a
   * continuation that are both text are cut into tokens together, as the LM evaluation harness does; an empty context is
   * `<|endoftext|>`. Only the end of a context that is too long is read.
   *
   * @throws {UsageError} an empty continuation, or an id outside the vocabulary.
   * @throws {ContextLengthError} a continuation longer than the context.
   */
  async logLikelihoods(
    requests: readonly LogLikelihoodRequest<TextOrIds>[],
    options: RunOptions & AdapterOption = {},
  ): Promise<LogLikelihood[]> {
    const { logLikelihoods } = await import("./gpt2/requests.js");
    return logLikelihoods(this.#generationModel(options), this.#ids, requests, options);
  }

  /**
   * What the model writes after prompts until it writes a stop string, many at once. Only the end of a prompt that leaves
   * no room is read.
   *
   * @throws {UsageError} an id outside the vocabulary.
   */
  async generateUntil(
    requests: readonly GenerateUntilRequest<TextOrIds>[],
    options: RunOptions & AdapterOption = {},
  ): Promise<Generation[]> {
    const { generateUntil } = await import("./gpt2/requests.js");
    return generateUntil(this.#generationModel(options), this.#ids, requests, options);
  }

  /**
   * Which of several texts is the likeliest after a context. They follow it as they are, so most begin with a space; with
   * it they must fit into the context.
   *
   *     const { text, candidates } = await model.choose("The sky is", [" blue.", " green."], { normalization: "token" });
   *
   * @throws {UsageError} no candidates, or an empty one.
   * @throws {ContextLengthError} one that does not fit.
   */
  async choose(context: string, candidates: readonly string[], options: ChooseOptions = {}): Promise<Choice> {
    const { choose } = await import("./tasks/choose.js");
    return choose(this, context, candidates, options);
  }

  /** Tasks stated by a prompt: `model.task.translate("…", { to: "fr" })`, summarize, answer, complete, classify. */
  get task(): Tasks {
    return new Tasks(this);
  }

  /**
   * Logits [T, V] of the tokens that may follow each of the ids, given those before it.
   *
   * @throws {ContextLengthError} more ids than the context has room for.
   */
  async logits(ids: ArrayLike<number>, options: LogitsOptions = {}): Promise<Float32Array> {
    const given = Array.from(ids); // as they are now, whatever the caller does to them during the call
    const { allLogits } = await import("./gpt2/logits.js");
    return allLogits(this.#engine, this.#ids, given, options, this.#adapters.get(options.adapter));
  }

  /** What the model, or adapter, was fine-tuned for besides writing, if anything. */
  fineTunedFor(options: AdapterOption = {}): TaskHead["kind"] | undefined {
    return this.#additions(options).head?.kind;
  }

  /** The labels that {@link GPT2.classify} chooses from; undefined if the model, or adapter, is no classifier. */
  labels(options: AdapterOption = {}): readonly string[] | undefined {
    const { head } = this.#additions(options);
    return head?.kind === "classification" ? head.labels : undefined;
  }

  /**
   * The label of a text, or of each of several, by a model or adapter that was fine-tuned for classification, or a
   * GPT2ForSequenceClassification.
   *
   * @throws {UsageError} it was not, a text is empty, or an id is outside the vocabulary.
   */
  classify(texts: readonly TextOrIds[], options?: ReadOptions): Promise<Classification[]>;
  classify(text: TextOrIds, options?: ReadOptions): Promise<Classification>;
  async classify(input: OneOrMany, options: ReadOptions = {}): Promise<Classification | Classification[]> {
    const reader = await this.#openReader();
    return oneOrMany(input, (texts) => reader.classify(texts, this.#additions(options), options));
  }

  /**
   * The number that a model or adapter fine-tuned for regression gives for a text, or for each of several.
   *
   * @throws {UsageError} as {@link classify}.
   */
  regress(texts: readonly TextOrIds[], options?: ReadOptions): Promise<number[]>;
  regress(text: TextOrIds, options?: ReadOptions): Promise<number>;
  async regress(input: OneOrMany, options: ReadOptions = {}): Promise<number | number[]> {
    const reader = await this.#openReader();
    return oneOrMany(input, (texts) => reader.regress(texts, this.#additions(options), options));
  }

  /**
   * A vector [nEmbd] of a text, or of each of several: the final hidden states of its tokens, after the last layer norm,
   * pooled.
   *
   *     const [a, b] = await model.embed(["A cat sat.", "A kitten was sitting."]);
   *     const cosine = a.reduce((sum, x, i) => sum + x * b[i], 0);
   *
   * @throws {UsageError} an empty text, or an id outside the vocabulary.
   * @throws {ContextLengthError} a text longer than the context, unless `truncate` is set.
   */
  embed(texts: readonly TextOrIds[], options?: EmbedOptions): Promise<Float32Array[]>;
  embed(text: TextOrIds, options?: EmbedOptions): Promise<Float32Array>;
  async embed(input: OneOrMany, options: EmbedOptions = {}): Promise<Float32Array | Float32Array[]> {
    const reader = await this.#openReader();
    return oneOrMany(input, (texts) => reader.embed(texts, this.#additions(options), options));
  }

  /**
   * Waits for the runs under way, then releases memory, files and threads; a backend or weights that were given to it stay.
   * Requests from now on, and those that need another run, throw {@link DisposedError}.
   */
  dispose(): Promise<void> {
    this.#disposed ??= this.#release();
    return this.#disposed;
  }

  async #release(): Promise<void> {
    this.#weights = undefined;
    await this.#engine.dispose();
    await (await this.#reader)?.dispose();
    this.#adapters.dispose();
    for (const owned of this.#owned) await owned.dispose();
    this.#owned = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #openReader(): Promise<Reader> {
    this.#reader ??= this.#newReader();
    return this.#reader;
  }

  async #newReader(): Promise<Reader> {
    const { Reader } = await import("./gpt2/reader.js");
    if (this.#weights) return new Reader(this.#ids, this.backend, this.config, this.#weights);
    throw new DisposedError("running the model", "model");
  }

  #additions(options: AdapterOption): Additions {
    const adapter = this.#adapters.get(options.adapter);
    return { adapter, head: adapter?.head ?? this.#head };
  }

  #generationModel(options: AdapterOption): GenerationModel {
    const { tokenizer, endOfText, eosTokenIds, config } = this;
    return {
      engine: this.#engine,
      vocabLimit: Math.min(config.vocabSize, tokenizer?.vocabSize ?? config.vocabSize),
      endOfText,
      eosTokenIds,
      adapter: this.#adapters.get(options.adapter),
      text: tokenizer && ((stop) => tokenizer.textStream(stop)),
    };
  }
}

/** The type that holds the most values. */
function mainType(arrays: Iterable<DeviceArray>): DType {
  const counts = new Map<DType, number>();
  for (const { dtype, length } of arrays) counts.set(dtype, (counts.get(dtype) ?? 0) + length);
  return [...counts].reduce((most, entry) => (entry[1] > most[1] ? entry : most), ["f32", 0] as const)[0];
}
