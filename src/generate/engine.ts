import type { ModelConfig } from "../architectures/config.js";
import { type ParamTypes, paramBuffer } from "../architectures/declare.js";
import { type ComputeOptions, defaultKv } from "../architectures/decode-program.js";
import { architectureOf } from "../architectures/registry.js";
import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import { RunQueue } from "../backend/run-queue.js";
import type { CacheType } from "../dtype/dtype.js";
import { ContextLengthError, UsageError } from "../errors.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { Precision } from "../program/precision.js";
import { Recorder } from "../program/program.js";
import { orAborted } from "../util/abort.js";
import {
  adaptersOf,
  type Chunk,
  chunks,
  type Extension,
  Inputs,
  type Row,
  type RunLimits,
  type RunPath,
} from "./chunks.js";
import { Decoders } from "./decoders.js";
import { KvCache } from "./kv-cache.js";
import { notFinite } from "./log-sum-exp.js";
import { RowSummaries } from "./row-summaries.js";
import type { RowSummary, SummarySettings } from "./sampling/row-summary.js";

/** Logits of one token, [V]. */
export type LogitsRow = Float32Array | Float64Array;

/**
 * Receives the logits after token number `token` of extension number `extension`. The row is the engine's memory and
 * valid only until this returns.
 */
export type OnLogits = (row: LogitsRow, extension: number, token: number) => void;

/** Reads the rows of logits of {@link Engine.run}, in order. */
export interface RowReader {
  /** Whether `read` looks at logits. If not, they are not copied from backends whose memory is elsewhere. */
  readonly needsLogits: boolean;
  /** Settings of the summary of the row's logits, for a reader that samples from them. */
  summary?(extension: number): SummarySettings | undefined;
  /**
   * Takes the logits after token number `token` of extension number `extension`, if needed, and their summary, if wanted.
   * Returns up to two ids; `logprobs` then receives their log-probabilities.
   */
  read(row: LogitsRow | undefined, extension: number, token: number, summary?: RowSummary): readonly number[];
  logprobs(values: readonly number[], extension: number, token: number): void;
}

/** Tokens to add to a sequence, and targets to score after the last ones. */
export interface ScoredExtension {
  readonly sequence: Sequence;
  readonly tokens: ArrayLike<number>;
  /** Target i follows token i of the last `targets.length` tokens. */
  readonly targets: ArrayLike<number>;
}

export interface EngineOptions extends ComputeOptions {
  /** Most tokens of a run. Longer prompts take several runs. Default 512. */
  readonly maxTokens?: number;
}

/** Most logits of a run: 32 MiB of floats. */
const LOGITS_SIZE = 2 ** 23;
/** {@link RunLimits.grain} for models with sliding windows. */
const GRAIN = 128;

/**
 * Runs a model with cached keys and values. It knows token ids only. Any number of sequences can be open and grow in the
 * same run. Runs never overlap, so calls may be concurrent.
 */
export class Engine {
  readonly backend: Backend;
  readonly config: ModelConfig;
  readonly maxTokens: number;
  /** Precision of matrix products, if it was given. */
  readonly compute: Precision | undefined;
  /** Storage dtype of cached keys and values. */
  readonly kv: CacheType;
  /** Capacity of one run. */
  readonly limits: RunLimits;
  readonly #types: ParamTypes;
  #weights: Record<string, DeviceArray>;
  readonly #cache: KvCache;
  readonly #inputs: Inputs;
  readonly #logits: DeviceArray;
  /** The slice filled by the last run. */
  #lastLogits: DeviceArray | undefined;
  readonly #losses: DeviceArray;
  readonly #open = new Map<number, Sequence>();
  #decoders: Decoders | undefined;
  #crossEntropy: Executable | undefined;
  #summaries: RowSummaries | undefined;
  readonly #queue = new RunQueue("model");

  /** @param weights arrays of `backend`, one for each name in the tensor table; only read. */
  constructor(
    backend: Backend,
    config: ModelConfig,
    weights: ReadonlyMap<string, DeviceArray>,
    { maxTokens = 512, compute, kv }: EngineOptions = {},
  ) {
    checkCausal(config);
    this.backend = backend;
    this.config = config;
    this.maxTokens = maxTokens;
    const maxLogits = Math.max(1, Math.min(maxTokens, Math.floor(LOGITS_SIZE / config.vocabSize)));
    this.limits = { maxTokens, maxLogits, grain: hasWindows(config) ? Math.min(GRAIN, maxTokens) : undefined };
    this.#types = new Map([...weights].map(([name, { dtype }]) => [name, dtype]));
    this.#weights = Object.fromEntries([...weights].map(([name, array]) => [paramBuffer(name), array]));
    this.compute = compute;
    this.kv = kv ?? defaultKv(this.#types);
    this.#cache = new KvCache(backend, config, this.kv);
    this.#inputs = new Inputs(backend, config, maxTokens, maxLogits);
    this.#logits = backend.alloc("f32", maxLogits * config.vocabSize);
    this.#losses = backend.alloc("f32", maxLogits);
  }

  /** Bytes of keys and values of a sequence that fills the context. */
  get sequenceBytes(): number {
    return this.#cache.slotBytes;
  }

  /**
   * Opens an empty sequence. Release it when done: it holds a slot of the cache.
   *
   * @param adapter of the same backend and shape of model, applied to this sequence's tokens
   */
  sequence(adapter?: LoadedAdapter): Sequence {
    let slot = 0;
    while (this.#open.has(slot)) slot++;
    const sequence = new Sequence(this, slot, adapter);
    this.#open.set(slot, sequence);
    return sequence;
  }

  /** Reserves slots for this many sequences, so that the cache need not grow later. */
  reserve(slots: number): Promise<void> {
    return this.#queue.add(() => this.#makeRoom(slots));
  }

  /** Opens sequences that start with the tokens of `source`, copied in the cache. */
  async fork(source: Sequence, count: number): Promise<Sequence[]> {
    this.#checkOpen(source);
    const copies = Array.from({ length: count }, () => this.sequence(source.adapter));
    for (const copy of copies) await this.copy(source, copy, source.length);
    return copies;
  }

  /**
   * Replaces the content of `target` by the first `length` tokens of `source`, copied in the cache.
   *
   * @param common leading tokens that both hold already
   */
  copy(source: Sequence, target: Sequence, length: number, common = 0): Promise<void> {
    this.#checkOpen(source);
    this.#checkOpen(target);
    return this.#queue.add(async () => {
      await this.#makeRoom();
      await this.#cache.copy(source.slot, target.slot, common, length);
      target.length = length;
      target.adapter = source.adapter;
    });
  }

  /**
   * Adds tokens to sequences, in as few runs as possible. When aborted, it throws the signal's reason at once, and it is
   * undefined how many of the new tokens the sequences then have.
   *
   * @throws {GPT2Error} an id is not in the vocabulary; {@link ContextLengthError} a sequence would outgrow the context.
   */
  async extend(extensions: readonly Extension[], onLogits?: OnLogits, signal?: AbortSignal): Promise<void> {
    await this.#runAll(extensions, signal, async (rows) => {
      if (onLogits) await this.#passOn(rows, onLogits);
    });
  }

  /** Like {@link extend}, for a reader that also wants log-probabilities. */
  run(extensions: readonly Extension[], reader: RowReader, signal?: AbortSignal): Promise<void> {
    return this.#runAll(extensions, signal, (rows) => this.#read(rows, reader));
  }

  /**
   * Adds tokens to a sequence and returns the log-probability of each target, in nats. Target i follows token i of the last
   * `targets.length` tokens.
   */
  async logprobs(
    sequence: Sequence,
    tokens: ArrayLike<number>,
    targets: ArrayLike<number>,
    signal?: AbortSignal,
  ): Promise<Float64Array> {
    const [logprobs] = await this.score([{ sequence, tokens, targets }], { signal });
    return logprobs!;
  }

  /**
   * {@link logprobs} of any number of sequences, in as few runs as possible: one array for each. `onLogits` receives the
   * logits behind the probabilities: the row after token number `token` belongs to target number
   * `token - (tokens.length - targets.length)` of the extension.
   */
  async score(
    extensions: readonly ScoredExtension[],
    { onLogits, signal }: { readonly onLogits?: OnLogits | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Float64Array[]> {
    for (const { targets } of extensions) this.checkIds("targets", targets);
    const results = extensions.map(({ targets }) => new Float64Array(targets.length));
    const skip = extensions.map(({ tokens, targets }) => tokens.length - targets.length);
    const parts = extensions.map(({ sequence, tokens, targets }) => ({ sequence, tokens, logits: targets.length }));
    const reader: RowReader = {
      needsLogits: onLogits !== undefined,
      read: (row, e, token) => {
        if (row) onLogits?.(row, e, token);
        return [extensions[e]!.targets[token - skip[e]!]!];
      },
      logprobs: ([logprob], e, token) => {
        if (Number.isNaN(logprob)) throw notFinite("scoring a token", logprob!);
        results[e]![token - skip[e]!] = logprob!;
      },
    };
    await this.run(parts, reader, signal);
    return results;
  }

  /** Waits for the current runs, then releases its memory; the weights belong to the model. */
  async dispose(): Promise<void> {
    await this.#queue.close();
    this.#releasePrograms();
    this.#crossEntropy?.dispose();
    this.#summaries?.dispose();
    this.#cache.dispose();
    this.#inputs.dispose();
    this.#logits.dispose();
    this.#losses.dispose();
    this.#weights = {};
    this.#lastLogits = undefined;
  }

  /** Executables bound to the cache's memory. */
  #releasePrograms(): void {
    this.#decoders?.dispose();
    this.#decoders = undefined;
  }

  /** @internal Frees a slot: {@link Sequence.release}. */
  free(slot: number): void {
    // A run that was aborted may still be writing to the slot's rows.
    this.#queue.whenIdle(() => this.#open.delete(slot));
  }

  /** The rows of the last run's logits. */
  async #passOn(
    rows: readonly Row[],
    onLogits: (...args: [...Parameters<OnLogits>, m: number]) => void,
  ): Promise<void> {
    const { vocabSize: V } = this.config;
    const size = rows.length * V;
    // A slice of these rows only: views of the whole capacity would put pressure on the garbage collector.
    if (this.#lastLogits?.length !== size) this.#lastLogits = this.#logits.slice(0, size);
    const logits = this.#lastLogits.host ?? (await this.#lastLogits.read());
    rows.forEach(({ extension, token }, m) => {
      onLogits(logits.subarray(m * V, (m + 1) * V) as LogitsRow, extension, token, m);
    });
  }

  /** Passes the rows of the last run to the reader, then the log-probabilities that it asks for. */
  async #read(rows: readonly Row[], reader: RowReader): Promise<void> {
    if (rows.length === 0) return;
    const asked: (readonly number[])[] = [];
    const summaryOf = reader.needsLogits ? await this.#summarize(rows, reader) : undefined;
    const read = (row: LogitsRow | undefined, extension: number, token: number, m: number): void => {
      asked.push(reader.read(row, extension, token, summaryOf?.(m)));
    };
    if (reader.needsLogits) await this.#passOn(rows, read);
    else for (const [m, { extension, token }] of rows.entries()) read(undefined, extension, token, m);
    if (asked.every(({ length }) => length === 0)) return;
    const first = await this.#logprobsOf(asked.map(([id]) => id));
    const second = asked.some(([a, b]) => b !== undefined && b !== a)
      ? await this.#logprobsOf(asked.map(([a, b]) => b ?? a))
      : first;
    rows.forEach(({ extension, token }, m) => {
      const { length } = asked[m]!;
      if (length > 0) reader.logprobs([first[m]!, second[m]!].slice(0, length), extension, token);
    });
  }

  /** Summaries of the last run's rows, by index, if any row wants one. */
  async #summarize(rows: readonly Row[], reader: RowReader): Promise<((m: number) => RowSummary) | undefined> {
    const wanted = rows.map(({ extension }) => reader.summary?.(extension));
    if (wanted.every((settings) => settings === undefined)) return undefined;
    const { maxLogits } = this.limits;
    this.#summaries ??= new RowSummaries(this.backend, maxLogits, this.config.vocabSize, this.#logits);
    return this.#summaries.of(wanted);
  }

  /** The log-probability of an id for each row of the last run; 0 for undefined. */
  async #logprobsOf(ids: readonly (number | undefined)[]): Promise<Float64Array> {
    this.#inputs.writeTargets(ids.map((id) => id ?? -1));
    this.#crossEntropy ??= await this.#prepareCrossEntropy();
    await this.#crossEntropy.run({ dims: { M: ids.length } });
    return Float64Array.from(await this.#losses.read(0, ids.length), (loss) => -loss);
  }

  async #runAll(
    extensions: readonly Extension[],
    signal: AbortSignal | undefined,
    onRows: (rows: readonly Row[]) => Promise<void>,
  ): Promise<void> {
    this.#checkExtensions(extensions);
    for (const path of ["packed", "streamed"] as const) {
      for (const chunk of chunks(extensions, path, this.limits)) {
        const job = this.#queue.add(async () => {
          signal?.throwIfAborted();
          await this.#makeRoom();
          await this.#decode(path, chunk);
          for (const { sequence } of chunk.tokens) sequence.length++;
          await onRows(chunk.rows);
        });
        await orAborted(job, signal);
      }
    }
  }

  async #decode(path: RunPath, chunk: Chunk): Promise<void> {
    this.#decoders ??= this.#makeDecoders();
    this.#inputs.write(chunk);
    const adapters = this.#decoders.adaptersFor(adaptersOf(chunk));
    const decode = await this.#decoders.for(path, adapters, this.#inputs.writeAdapters(chunk, adapters));
    await decode.run({ dims: { N: chunk.tokens.length, M: chunk.rows.length } });
  }

  /** Grows the cache at least to twice its size, for the open sequences or `wanted` of them. */
  async #makeRoom(wanted = 0): Promise<void> {
    const needed = Math.max(wanted, ...[...this.#open.keys()].map((slot) => slot + 1));
    if (needed <= this.#cache.slots) return;
    const inUse = [...this.#open.values()].filter(({ length }) => length > 0);
    await this.#cache.grow(Math.max(needed, 2 * this.#cache.slots), inUse);
    this.#releasePrograms();
  }

  #makeDecoders(): Decoders {
    return new Decoders(this.backend, {
      config: this.config,
      types: this.#types,
      compute: this.compute,
      kv: this.kv,
      shape: { ...this.limits, cacheRows: this.#cache.rows },
      bindings: { ...this.#weights, ...this.#cache.bindings, ...this.#inputs.bindings, logits: this.#logits },
    });
  }

  /** losses[m] = -log softmax(logits[m])[targets[m]], over the logits of the last run. */
  #prepareCrossEntropy(): Promise<Executable> {
    const k = new Recorder("cross-entropy");
    const M = k.sym("M", this.limits.maxLogits);
    const V = this.config.vocabSize;
    const tensors = {
      losses: k.external("losses", [M]),
      logits: k.external("logits", [M, V]),
      targets: k.external("targets", [M], "i32"),
    };
    k.op("crossEntropy", "losses", tensors, { N: M, V }, { scale: 0 });
    const { targets } = this.#inputs;
    return this.backend.prepare(k.build(), { losses: this.#losses, logits: this.#logits, targets });
  }

  #checkExtensions(extensions: readonly Extension[]): void {
    const { nCtx } = this.config;
    const seen = new Set<Sequence>();
    for (const { sequence, tokens, logits = 1 } of extensions) {
      this.#checkOpen(sequence);
      this.checkIds("tokens", tokens);
      if (seen.has(sequence))
        throw new UsageError({ op: "extending sequences", expected: "each sequence once", got: "one twice" });
      seen.add(sequence);
      if (!(Number.isInteger(logits) && logits >= 0 && logits <= tokens.length)) {
        const expected = `a number from 0 to ${tokens.length}, the tokens added`;
        throw new UsageError({ op: "extending a sequence: logits", expected, got: String(logits) });
      }
      if (sequence.length + tokens.length > nCtx) {
        throw new ContextLengthError({
          op: "extending a sequence",
          expected: `at most ${nCtx} tokens, the model's context`,
          got: `${sequence.length} + ${tokens.length}`,
        });
      }
    }
  }

  /** @internal Checks ids before anything runs. Kernels check what they read (src/program/index-checks.ts). */
  checkIds(what: string, ids: ArrayLike<number>): void {
    const { vocabSize } = this.config;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (Number.isInteger(id) && id >= 0 && id < vocabSize) continue;
      throw new UsageError({ op: `${what}[${i}]`, expected: `a token id from 0 to ${vocabSize - 1}`, got: String(id) });
    }
  }

  #checkOpen(sequence: Sequence): void {
    if (sequence.engine === this && sequence.isOpen) return;
    const got = sequence.isOpen ? "a sequence of another model" : "a closed sequence";
    throw new UsageError({ op: "extending a sequence", expected: "an open sequence of this model", got });
  }
}

/** Whether some layers see fewer keys than a sequence has. */
function hasWindows(config: ModelConfig): boolean {
  const { window } = architectureOf(config);
  return Array.from({ length: config.nLayer }, (_, layer) => window(config, layer) ?? config.nCtx).some(
    (size) => size < config.nCtx,
  );
}

/** @throws {UsageError} the model's tokens see later ones. */
function checkCausal(config: ModelConfig): void {
  const { attention, label } = architectureOf(config);
  if (attention === "causal") return;
  throw new UsageError({ op: "generating or scoring", expected: "a model that reads from left to right", got: label });
}

/** A sequence of tokens with keys and values in an engine's cache. */
export class Sequence {
  /** Tokens in the cache. */
  length = 0;
  #open = true;

  constructor(
    readonly engine: Engine,
    readonly slot: number,
    /** LoRA adapter applied to its tokens. It changes only while the sequence is empty. */
    public adapter?: LoadedAdapter,
  ) {}

  /** Index of its first row in the cache. */
  get firstRow(): number {
    return this.slot * this.engine.config.nCtx;
  }

  /** Keeps the first `length` tokens. */
  truncate(length: number): void {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.length)) {
      throw new UsageError({ op: "truncating a sequence", expected: `0 to ${this.length} tokens`, got: `${length}` });
    }
    this.length = length;
  }

  /** False once released. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Frees its slot of the cache. */
  release(): void {
    if (this.#open) this.engine.free(this.slot);
    this.#open = false;
  }
}
