import type { ModelConfig } from "../architectures/config.js";
import type { TaskHead } from "../architectures/task-head.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import type { DType } from "../dtype/dtype.js";
import { DisposedError } from "../errors.js";
import type { AttentionMaps } from "../generate/attention-maps.js";
import type { Classification } from "../generate/classify.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { LoadedHead } from "../pretrained/loaded-head.js";
import type { ModelParts } from "../pretrained/model-parts.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { Adapters } from "./adapters.js";
import { type OneOrMany, oneOrMany } from "./one-or-many.js";
import type { AdapterOption, EmbedOptions, ReadOptions, TextOrIds } from "./options.js";
import type { Additions, Reader } from "./reader.js";
import { TextIds } from "./text-ids.js";

type Releasable = { dispose(): void | Promise<void> };

/** A model in memory, whatever its architecture: its properties, its adapters, and encoding of whole texts. */
export class LoadedModel {
  /** The file or folder from which it was loaded. */
  readonly path: string | undefined;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** Id of the token that ends a text and starts the next. */
  readonly endOfText: number | undefined;
  /** Storage dtype of most weights. */
  readonly dtype: DType;
  readonly backend: Backend;
  /** The reason why the native kernels could not be used, if they were requested. */
  readonly fallback: Error | undefined;
  protected readonly ids: TextIds;
  readonly #adapters: Adapters;
  readonly #head: LoadedHead | undefined;
  #weights: ModelParts["weights"] | undefined;
  readonly #compute: ModelParts["compute"];
  #reader: Promise<Reader> | undefined;
  #owned: readonly Releasable[];
  #disposed: Promise<void> | undefined;

  /** Uses weights that are already in memory. */
  constructor(parts: ModelParts) {
    const { backend, config, weights, tokenizer } = parts;
    this.path = parts.path;
    this.config = config;
    this.tokenizer = tokenizer;
    this.endOfText = parts.endOfText ?? tokenizer?.endOfText;
    this.dtype = mainType(weights.values());
    this.backend = backend;
    this.fallback = parts.fallback;
    this.ids = new TextIds(tokenizer, this.endOfText, config.vocabSize, config.nCtx);
    this.#adapters = new Adapters(parts.adapters);
    this.#head = parts.head;
    this.#weights = weights;
    this.#compute = parts.compute;
    this.#owned = [...(parts.owned ?? [])];
  }

  /**
   * Embeds a text, or each of several, as a vector [nEmbd]: its final hidden states, pooled, of length 1.
   *
   * @throws {UsageError} an empty text, or an id outside the vocabulary.
   * @throws {ContextLengthError} a text longer than the context, unless `truncate` is set.
   */
  embed(texts: readonly TextOrIds[], options?: EmbedOptions): Promise<Float32Array[]>;
  embed(text: TextOrIds, options?: EmbedOptions): Promise<Float32Array>;
  embed(input: OneOrMany, options: EmbedOptions = {}): Promise<Float32Array | Float32Array[]> {
    return this.#read(input, options, (reader, texts, added) => reader.embed(texts, added, options));
  }

  /** Classifies a text, or each of several. @throws {UsageError} the model, or adapter, is not a classifier. */
  classify(texts: readonly TextOrIds[], options?: ReadOptions): Promise<Classification[]>;
  classify(text: TextOrIds, options?: ReadOptions): Promise<Classification>;
  classify(input: OneOrMany, options: ReadOptions = {}): Promise<Classification | Classification[]> {
    return this.#read(input, options, (reader, texts, added) => reader.classify(texts, added, options));
  }

  /** Predicts a number for a text, or for each of several. @throws {UsageError} the model, or adapter, is not for regression. */
  regress(texts: readonly TextOrIds[], options?: ReadOptions): Promise<number[]>;
  regress(text: TextOrIds, options?: ReadOptions): Promise<number>;
  regress(input: OneOrMany, options: ReadOptions = {}): Promise<number | number[]> {
    return this.#read(input, options, (reader, texts, added) => reader.regress(texts, added, options));
  }

  /**
   * Attention weights of one layer over a text, ignoring the windows of local layers.
   *
   * @throws {ShapeError} the model has fewer layers; {@link ContextLengthError} the text is too long.
   */
  async attention(text: TextOrIds, layer: number): Promise<AttentionMaps> {
    const [maps] = (await this.#read([text], {}, async (reader, [one]) => [await reader.attention(one!, layer)])) as [
      AttentionMaps,
    ];
    return maps;
  }

  /** The task for which the model, or adapter, was fine-tuned, if any. */
  fineTunedFor(options: AdapterOption = {}): TaskHead["kind"] | undefined {
    return this.#additions(options).head?.kind;
  }

  /** The labels from which `classify` chooses; undefined if the model, or adapter, is not a classifier. */
  labels(options: AdapterOption = {}): readonly string[] | undefined {
    const { head } = this.#additions(options);
    return head?.kind === "classification" ? head.labels : undefined;
  }

  /** Names of the LoRA adapters that requests can choose. */
  get adapters(): string[] {
    return this.#adapters.names;
  }

  /**
   * Loads a LoRA adapter, from a folder in PEFT's layout or by its name on the hub, and replaces one of that name. Node only.
   *
   * @throws {CheckpointError} it is not an adapter, or one for a model of another shape.
   * @throws {UsageError} it changes more of the model than linear layers.
   */
  loadAdapter(name: string, path: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#adapters.load(name, path, this.backend, this.config, options);
  }

  /** Removes an adapter; requests that already use it keep it. Returns whether there was one. */
  unloadAdapter(name: string): boolean {
    return this.#adapters.unload(name);
  }

  /**
   * Waits for the runs under way, then releases memory, files and threads; a backend or weights passed to the constructor are kept.
   * Later requests, and those that need another run, throw {@link DisposedError}.
   */
  dispose(): Promise<void> {
    this.#disposed ??= this.#release();
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Runs of the subclass to await before the weights are released; undefined if there are none. */
  protected releaseRuns(): Promise<void> | undefined {
    return undefined;
  }

  async #release(): Promise<void> {
    this.#weights = undefined;
    await this.releaseRuns();
    await (await this.#reader)?.dispose();
    this.#adapters.dispose();
    for (const owned of this.#owned) await owned.dispose();
    this.#owned = [];
  }

  /** The adapter that a request chose. @throws {UsageError} none of that name is loaded. */
  protected adapterOf({ adapter }: AdapterOption): LoadedAdapter | undefined {
    return this.#adapters.get(adapter);
  }

  #additions(options: AdapterOption): Additions {
    const adapter = this.adapterOf(options);
    return { adapter, head: adapter?.head ?? this.#head };
  }

  async #read<Result>(
    input: OneOrMany,
    options: AdapterOption,
    read: (reader: Reader, texts: readonly TextOrIds[], added: Additions) => Promise<Result[]>,
  ): Promise<Result | Result[]> {
    this.#reader ??= this.#newReader();
    const reader = await this.#reader;
    return oneOrMany(input, (texts) => read(reader, texts, this.#additions(options)));
  }

  async #newReader(): Promise<Reader> {
    const { Reader } = await import("./reader.js");
    const compute = this.#compute;
    if (this.#weights) return new Reader(this.ids, this.backend, this.config, this.#weights, { compute });
    throw new DisposedError("running the model", "model");
  }
}

/** The dtype of most values. */
export function mainType(arrays: Iterable<DeviceArray>): DType {
  const counts = new Map<DType, number>();
  for (const { dtype, length } of arrays) counts.set(dtype, (counts.get(dtype) ?? 0) + length);
  return [...counts].reduce((most, entry) => (entry[1] > most[1] ? entry : most), ["f32", 0] as const)[0];
}
