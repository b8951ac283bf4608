import type { GPT2Config } from "./architectures/gpt2/config.js";
import type { TaskHead } from "./architectures/task-head.js";
import type { Backend, DeviceArray } from "./backend/backend.js";
import type { DType } from "./dtype/dtype.js";
import { ContextLengthError, GPT2Error, TokenizerError, UsageError } from "./errors.js";
import type { Classification } from "./generate/classify.js";
import type { Encoder, Pooling } from "./generate/encoder.js";
import { Engine } from "./generate/engine.js";
import { type FinishReason, type GeneratedToken, type GenerationModel, generateTokens } from "./generate/generate.js";
import { type GenerateOptions, generateSettings } from "./generate/options.js";
import type {
  GenerateUntilRequest,
  Generation,
  LogLikelihood,
  LogLikelihoodRequest,
  RunOptions,
} from "./generate/requests.js";
import type { FetchModelOptions } from "./pretrained/fetch.js";
import type { LoadOptions } from "./pretrained/load.js";
import { DEFAULT_ADAPTER, type LoadedAdapter } from "./pretrained/loaded-adapter.js";
import type { LoadedHead } from "./pretrained/loaded-head.js";
import type { ModelParts } from "./pretrained/model-parts.js";
import { SAMPLING_DEFAULTS, type SamplingSettings } from "./pretrained/sampling-options.js";
import type { Choice, ChooseOptions } from "./tasks/choose.js";
import { Tasks } from "./tasks/tasks.js";
import type { encodePair } from "./tokenizer/encode-pair.js";
import type { Tokenizer } from "./tokenizer/tokenizer.js";

/** Text, or token ids. */
export type TextOrIds = string | ArrayLike<number>;

/** One continuation of a prompt. */
export interface Completion {
  /** Without the prompt. */
  readonly text: string;
  readonly tokens: readonly number[];
  /** One for each token: see {@link GeneratedToken.logprob}. */
  readonly logprobs: readonly number[];
  readonly finishReason: FinishReason;
}

export interface AdapterOption {
  /** Name of a loaded LoRA adapter, or null for the model as it is; by default the adapter `default`, if there is one. */
  readonly adapter?: string | null | undefined;
}

export interface ScoreOptions extends AdapterOption {
  /** What comes before the text, and is not itself scored. At least one token; default `<|endoftext|>`. */
  readonly context?: TextOrIds | undefined;
  /**
   * For texts longer than the model's context: tokens by which the window moves on. Smaller is slower and gives each
   * token more to go by. From 1 to nCtx; default nCtx / 2.
   */
  readonly stride?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how many tokens have been scored. */
  readonly onProgress?: ((tokens: number) => void) | undefined;
}

export interface Score {
  readonly tokens: readonly number[];
  /** Natural logarithm of each token's probability, given all before it. */
  readonly logprobs: Float64Array;
  /** Their sum. */
  readonly logprob: number;
  /** exp(-logprob / tokens). */
  readonly perplexity: number;
  /** Length of the text in UTF-8; undefined without a tokenizer. */
  readonly bytes: number | undefined;
  /** -log2 of the text's probability, divided by its bytes: comparable between tokenizers. */
  readonly bitsPerByte: number | undefined;
}

/** How texts are read as a whole, for {@link GPT2.classify} and {@link GPT2.embed}. */
export interface ReadOptions extends AdapterOption {
  /**
   * Of a text that is longer than the context, read the beginning, instead of refusing it. Default true for a model's task,
   * as it was learned so; false for embeddings.
   */
  readonly truncate?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how many texts are done. */
  readonly onProgress?: ((texts: number) => void) | undefined;
}

export interface EmbedOptions extends ReadOptions {
  /** The mean of the tokens' final hidden states (the default), or the last token's. */
  readonly pooling?: Pooling | undefined;
  /** Make vectors of length 1, whose products are cosines. Default true. */
  readonly normalize?: boolean | undefined;
}

/**
 * A GPT-2, ready to generate and to score text. Calls may overlap; each has sequences of its own.
 *
 *     const model = await GPT2.load("path/to/model");
 *     for await (const { text } of model.generate("Once upon a time")) process.stdout.write(text);
 */
export class GPT2 {
  readonly config: GPT2Config;
  readonly tokenizer: Tokenizer | undefined;
  /** Id of the token that ends a text and starts the next. */
  readonly endOfText: number | undefined;
  /** What most of the weights are held in. */
  readonly dtype: DType;
  /** How it draws tokens unless told otherwise: what its generation_config.json says, then {@link GenerateOptions}' defaults. */
  readonly sampling: SamplingSettings;
  /** Why the native kernels could not be used, if they were to be tried. */
  readonly fallback: Error | undefined;
  readonly #engine: Engine;
  readonly #adapters: Map<string, LoadedAdapter>;
  readonly #head: LoadedHead | undefined;
  #weights: ModelParts["weights"] | undefined;
  #encoder: Promise<Encoder> | undefined;

  /** For weights that are in memory already; from files: {@link GPT2.load}. */
  constructor({ backend, config, weights, tokenizer, endOfText, sampling, fallback, adapters, head }: ModelParts) {
    this.config = config;
    this.sampling = sampling ?? SAMPLING_DEFAULTS;
    this.tokenizer = tokenizer;
    this.endOfText = endOfText ?? tokenizer?.endOfText;
    this.dtype = mainType(weights.values());
    this.fallback = fallback;
    this.#engine = new Engine(backend, config, weights);
    this.#adapters = new Map(adapters);
    this.#head = head;
    this.#weights = weights;
  }

  /**
   * Loads a model: a folder or file of any format that `openCheckpoint` reads, with the tokenizer beside it; `gpt2`,
   * `gpt2-medium`, `gpt2-large`, `gpt2-xl` or `distilgpt2`; a model of the Hugging Face hub (`owner/name`, with
   * `@revision` or not); or the address of a file. What is not on this machine is fetched into the cache that Python's
   * huggingface_hub uses. Without a name the model that comes with the package. Node only.
   *
   * @throws {CheckpointError} there is no such model, or it is malformed.
   * @throws {DownloadError} it can't be fetched.
   * @throws {BackendError} the backend that was asked for is not available.
   */
  static async load(name?: string, options: LoadOptions = {}): Promise<GPT2> {
    const { loadModel } = await import("./pretrained/load.js");
    return new GPT2(await loadModel(name, options));
  }

  /** Names of the LoRA adapters that requests can choose. */
  get adapters(): string[] {
    return [...this.#adapters.keys()];
  }

  /**
   * Loads a LoRA adapter that requests can choose by a name; one of that name before is let go. Node only.
   *
   * @param path a folder in PEFT's layout, or a name on the hub.
   * @throws {CheckpointError} it is none, or for another shape of model.
   * @throws {UsageError} it changes more of the model than linear layers.
   */
  async loadAdapter(name: string, path: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { findAdapter, loadAdapter } = await import("./pretrained/load-adapters.js");
    const adapter = await findAdapter(path, this.config, options);
    try {
      this.#adapters.set(name, await loadAdapter(this.backend, adapter, options.signal));
    } finally {
      adapter.close();
    }
  }

  /** Lets an adapter go; requests that use it already go on with it. Whether there was one. */
  unloadAdapter(name: string): boolean {
    return this.#adapters.delete(name);
  }

  /**
   * The same in a browser (and anywhere else), without files: fetched into memory by `fetch`, for a backend that was made
   * before. The name is the address of a folder (ending in `/`) or of a file, relative to the page or not, or as for
   * {@link GPT2.load} a preset or a model of the hub. Safetensors, GGUF, PyTorch and llm.c.
   *
   *     const model = await GPT2.fetch("models/tiny/", { backend: await wasmBackend() });
   *
   * @throws {DownloadError} a file can't be fetched.
   * @throws {CheckpointError} there is no such model, or it is malformed.
   */
  static async fetch(name: string, options: FetchModelOptions): Promise<GPT2> {
    const { fetchModelParts } = await import("./pretrained/fetch.js");
    return new GPT2(await fetchModelParts(name, options));
  }

  get backend(): Backend {
    return this.#engine.backend;
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
    if (settings.stop.length > 0) this.#needTokenizer("stop strings");
    yield* generateTokens(this.#generationModel(options.adapter), this.#encode(prompt), settings);
  }

  /** The whole continuation at once. */
  async complete(prompt: TextOrIds = "", options: Omit<GenerateOptions, "samples"> = {}): Promise<Completion> {
    const [completion] = await this.completions(prompt, { ...options, samples: 1 });
    return completion!;
  }

  /** `samples` continuations of the prompt, computed together. */
  async completions(prompt: TextOrIds = "", options: GenerateOptions = {}): Promise<Completion[]> {
    const results = Array.from({ length: options.samples ?? 1 }, () => {
      return { text: "", tokens: [] as number[], logprobs: [] as number[], finishReason: "length" as FinishReason };
    });
    for await (const { token, text, logprob, sample, finishReason } of this.generate(prompt, options)) {
      const result = results[sample]!;
      result.text += text;
      result.tokens.push(token);
      result.logprobs.push(logprob);
      if (finishReason) result.finishReason = finishReason;
    }
    return results;
  }

  /**
   * How likely the model finds a text.
   *
   * @throws {UsageError} the text or its context is empty, or an id outside the vocabulary.
   */
  async score(text: TextOrIds, options: ScoreOptions = {}): Promise<Score> {
    const { nCtx } = this.config;
    const { stride = Math.max(1, nCtx >> 1), signal, onProgress } = options;
    if (!(Number.isInteger(stride) && stride >= 1 && stride <= nCtx)) {
      throw new UsageError({ op: "stride", expected: `an integer from 1 to ${nCtx}`, got: String(stride) });
    }
    const tokens = this.#encode(text);
    if (tokens.length === 0) throw new UsageError({ op: "text to score", expected: "at least one token", got: "none" });
    const context = this.#scoreContext(options.context);
    const settings = { stride, signal, onProgress, adapter: this.#adapter(options.adapter) };
    const { scoreTokens } = await import("./generate/score.js");
    const logprobs = await scoreTokens(this.#engine, [...context, ...tokens], context.length, settings);
    const logprob = logprobs.reduce((sum, x) => sum + x, 0);
    const bytes = this.tokenizer?.decodeBytes(tokens).length;
    return {
      tokens,
      logprobs,
      logprob,
      perplexity: Math.exp(-logprob / tokens.length),
      bytes,
      bitsPerByte: bytes === undefined ? undefined : -logprob / Math.LN2 / bytes,
    };
  }

  /**
   * How likely continuations are after contexts, many at once: what they have in common is read once. A context and a
   * continuation that are both text are cut into tokens together, as the LM evaluation harness does; an empty context is
   * `<|endoftext|>`. Of a context that is too long the end is read.
   *
   * @throws {UsageError} an empty continuation, or an id outside the vocabulary.
   * @throws {ContextLengthError} a continuation longer than the context.
   */
  async logLikelihoods(
    requests: readonly LogLikelihoodRequest<TextOrIds>[],
    options: RunOptions & AdapterOption = {},
  ): Promise<LogLikelihood[]> {
    const { vocabLimit, adapter } = this.#generationModel(options.adapter);
    const { runLogLikelihoods } = await import("./generate/log-likelihood.js");
    const { encodePair } = await import("./tokenizer/encode-pair.js");
    const asked = requests.map((request) => ({ ...request, ...this.#encodePair(request, encodePair) }));
    return runLogLikelihoods(this.#engine, asked, { ...options, vocabLimit, adapter });
  }

  /**
   * What the model writes after prompts until it writes a stop string, many at once. Of a prompt that leaves no room the
   * end is read.
   *
   * @throws {UsageError} an id outside the vocabulary.
   */
  async generateUntil(
    requests: readonly GenerateUntilRequest<TextOrIds>[],
    options: RunOptions & AdapterOption = {},
  ): Promise<Generation[]> {
    const tokenizer = this.#needTokenizer("generating until a stop");
    const { vocabLimit, endOfText, adapter } = this.#generationModel(options.adapter);
    const asked = requests.map((request) => {
      const ids = this.#encode(request.prompt);
      return { ...request, prompt: ids.length > 0 ? ids : this.#startOfText() };
    });
    const decoder = () => tokenizer.decoder();
    const { runGenerations } = await import("./generate/generate-until.js");
    return runGenerations(this.#engine, asked, { ...options, vocabLimit, endOfText, adapter, decoder });
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
  async logits(
    ids: ArrayLike<number>,
    { adapter, signal }: AdapterOption & { readonly signal?: AbortSignal } = {},
  ): Promise<Float32Array> {
    const { nCtx, vocabSize: V } = this.config;
    if (ids.length > nCtx) {
      const expected = `at most ${nCtx} tokens, the model's context`;
      throw new ContextLengthError({ op: "logits", expected, got: String(ids.length) });
    }
    const logits = new Float32Array(ids.length * V);
    const sequence = this.#engine.sequence(this.#adapter(adapter));
    try {
      const extension = { sequence, tokens: ids, logits: ids.length };
      await this.#engine.extend([extension], (row, _, token) => logits.set(row, token * V), signal);
    } finally {
      sequence.release();
    }
    return logits;
  }

  /** What the model, or adapter, was fine-tuned for besides writing, if anything. */
  fineTunedFor({ adapter }: AdapterOption = {}): TaskHead["kind"] | undefined {
    return this.#taskHead(adapter)?.kind;
  }

  /** The labels that {@link GPT2.classify} chooses from; undefined if the model, or adapter, is no classifier. */
  labels({ adapter }: AdapterOption = {}): readonly string[] | undefined {
    const head = this.#taskHead(adapter);
    return head?.kind === "classification" ? head.labels : undefined;
  }

  /**
   * The label of a text, by a model or adapter that was fine-tuned for classification, or a GPT2ForSequenceClassification.
   *
   * @throws {UsageError} it was not, the text is empty, or an id is outside the vocabulary.
   */
  async classify(text: TextOrIds, options: ReadOptions = {}): Promise<Classification> {
    const [result] = await this.classifyAll([text], options);
    return result!;
  }

  /** {@link classify} for many texts, several in a run. */
  async classifyAll(texts: readonly TextOrIds[], options: ReadOptions = {}): Promise<Classification[]> {
    const { classification, needHead } = await import("./generate/classify.js");
    const head = needHead("classification", this.#taskHead(options.adapter));
    return (await this.#read(texts, "last", { truncate: true, ...options })).map((x) => classification(head, x));
  }

  /**
   * The number that a model or adapter fine-tuned for regression gives for a text.
   *
   * @throws {UsageError} as {@link classify}.
   */
  async regress(text: TextOrIds, options: ReadOptions = {}): Promise<number> {
    const [result] = await this.regressAll([text], options);
    return result!;
  }

  /** {@link regress} for many texts, several in a run. */
  async regressAll(texts: readonly TextOrIds[], options: ReadOptions = {}): Promise<number[]> {
    const [{ needHead }, { scoresOf }] = await Promise.all([
      import("./generate/classify.js"),
      import("./pretrained/loaded-head.js"),
    ]);
    const head = needHead("regression", this.#taskHead(options.adapter));
    return (await this.#read(texts, "last", { truncate: true, ...options })).map((x) => scoresOf(head, x)[0]!);
  }

  /**
   * A vector [nEmbd] for each text: the final hidden states of its tokens, after the last layer norm, pooled.
   *
   *     const [a, b] = await model.embed(["A cat sat.", "A kitten was sitting."]);
   *     const cosine = a.reduce((sum, x, i) => sum + x * b[i], 0);
   *
   * @throws {UsageError} an empty text, or an id outside the vocabulary.
   * @throws {ContextLengthError} a text longer than the context, unless `truncate` is set.
   */
  async embed(texts: readonly TextOrIds[], options: EmbedOptions = {}): Promise<Float32Array[]> {
    const { pooling = "mean", normalize = true, ...rest } = options;
    if (typeof texts === "string") {
      throw new UsageError({ op: "embedding", expected: "a list of texts", got: "one text", hint: "embed([text])" });
    }
    const [{ POOLINGS }, { normalized }] = await Promise.all([
      import("./generate/encoder.js"),
      import("./generate/classify.js"),
    ]);
    if (!POOLINGS.includes(pooling)) {
      throw new UsageError({ op: "embedding: pooling", expected: POOLINGS.join(" or "), got: String(pooling) });
    }
    const vectors = await this.#read(texts, pooling, rest);
    return normalize ? vectors.map(normalized) : vectors;
  }

  async #read(texts: readonly TextOrIds[], pooling: Pooling, options: ReadOptions): Promise<Float32Array[]> {
    const { truncate = false, signal, onProgress } = options;
    const ids = texts.map((text, i) =>
      this.#wholeText(this.#encode(text), `text ${i + 1} of ${texts.length}`, truncate),
    );
    this.#encoder ??= this.#newEncoder();
    const encoder = await this.#encoder;
    return encoder.encode(ids, { pooling, adapter: this.#adapter(options.adapter), signal, onProgress });
  }

  async #newEncoder(): Promise<Encoder> {
    const { Encoder } = await import("./generate/encoder.js");
    if (this.#weights) return new Encoder(this.backend, this.config, this.#weights);
    throw new GPT2Error({ op: "running the model", got: "a model that was disposed of" });
  }

  /** The ids of a text that fits one run. The kernels look ids up without asking. */
  #wholeText(ids: number[], op: string, truncate: boolean): number[] {
    const { nCtx, vocabSize } = this.config;
    if (ids.length === 0) throw new UsageError({ op, expected: "at least one token", got: "none" });
    const bad = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
    if (bad !== undefined) {
      throw new UsageError({ op, expected: `token ids from 0 to ${vocabSize - 1}`, got: String(bad) });
    }
    if (ids.length <= nCtx || truncate) return ids.slice(0, nCtx);
    const expected = `at most ${nCtx} tokens, the model's context`;
    throw new ContextLengthError({
      op,
      expected,
      got: String(ids.length),
      hint: "With truncate its beginning is read",
    });
  }

  /** The adapter's, if it has one; else the model's own. */
  #taskHead(adapter: string | null | undefined): LoadedHead | undefined {
    return this.#adapter(adapter)?.head ?? this.#head;
  }

  /** Waits for what is running and gives the memory back. The model can't be used afterwards. */
  async dispose(): Promise<void> {
    this.#weights = undefined;
    await (await this.#encoder)?.dispose();
    await this.#engine.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** @throws {UsageError} no adapter of that name is loaded. */
  #adapter(name: string | null | undefined): LoadedAdapter | undefined {
    if (name === null) return undefined;
    const adapter = this.#adapters.get(name ?? DEFAULT_ADAPTER);
    if (adapter || name === undefined) return adapter;
    const expected = this.adapters.length > 0 ? this.adapters.join(" or ") : "none, as no adapter is loaded";
    throw new UsageError({ op: "adapter", expected, got: name });
  }

  #generationModel(adapter: string | null | undefined): GenerationModel {
    const { tokenizer, endOfText, config } = this;
    return {
      engine: this.#engine,
      vocabLimit: Math.min(config.vocabSize, tokenizer?.vocabSize ?? config.vocabSize),
      endOfText,
      adapter: this.#adapter(adapter),
      decoder: tokenizer && (() => tokenizer.decoder()),
    };
  }

  #encode(text: TextOrIds): number[] {
    return Array.from(typeof text === "string" ? this.#needTokenizer("text").encode(text) : text);
  }

  #encodePair({ context, continuation }: LogLikelihoodRequest<TextOrIds>, encode: typeof encodePair) {
    const [start] = this.#startOfText();
    if (typeof context === "string" && typeof continuation === "string" && start !== undefined) {
      return encode(this.#needTokenizer("text"), start, context, continuation);
    }
    const ids = this.#encode(context);
    return { context: ids.length > 0 ? ids : this.#startOfText(), continuation: this.#encode(continuation) };
  }

  #needTokenizer(use: string): Tokenizer {
    if (this.tokenizer) return this.tokenizer;
    throw new TokenizerError({
      op: use,
      expected: "a tokenizer",
      got: `a model of ${this.config.vocabSize} tokens without one`,
      hint: "Give token ids, or put the model's tokenizer.json beside its weights",
    });
  }

  #scoreContext(context: TextOrIds | undefined): number[] {
    const ids = context === undefined ? this.#startOfText() : this.#encode(context);
    if (ids.length > 0) return ids;
    throw new UsageError({
      op: "context of the text to score",
      expected: "at least one token, for the first of the text to follow",
      got: "none",
      ...(context === undefined && { hint: "This model has no <|endoftext|>: give a context" }),
    });
  }

  #startOfText(): number[] {
    return this.endOfText === undefined ? [] : [this.endOfText];
  }
}

/** The type that holds the most values. */
function mainType(arrays: Iterable<DeviceArray>): DType {
  const counts = new Map<DType, number>();
  for (const { dtype, length } of arrays) counts.set(dtype, (counts.get(dtype) ?? 0) + length);
  return [...counts].reduce((most, entry) => (entry[1] > most[1] ? entry : most), ["f32", 0] as const)[0];
}
