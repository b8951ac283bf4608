import type { Pooling } from "../architectures/architecture.js";
import type { ModelConfig } from "../architectures/config.js";
import {
  adapterBuffer,
  adapterGainBuffer,
  adapterIndexBuffer,
  type ParamTypes,
  paramBuffer,
} from "../architectures/declare.js";
import { type ComputeOptions, defaultPrecision } from "../architectures/decode-program.js";
import { hiddenProgram } from "../architectures/programs.js";
import { architectureOf } from "../architectures/registry.js";
import { fillLast, TokenArrays, type TokenColumns } from "../architectures/token-inputs.js";
import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import { ExecutableCache } from "../backend/executable-cache.js";
import { RunQueue } from "../backend/run-queue.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { Precision } from "../program/precision.js";
import { orAborted } from "../util/abort.js";
import { type AttentionMaps, type AttentionPlace, attentionPlace, attentionWeights } from "./attention-maps.js";

export const POOLINGS: readonly Pooling[] = ["mean", "first", "last"];

/** A text as token ids, with the architecture's own columns by name: see {@link TokenColumns}. */
export interface EncoderText {
  readonly tokens: ArrayLike<number>;
  readonly extra?: Readonly<Record<string, ArrayLike<number>>> | undefined;
}

export interface RowsOptions {
  /** Return this output of the architecture instead of hidden states. */
  readonly output?: string | undefined;
  readonly adapter?: LoadedAdapter | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of texts encoded so far. */
  readonly onProgress?: ((texts: number) => void) | undefined;
}

export interface EncodeOptions extends RowsOptions {
  readonly pooling: Pooling;
}

/** Least token capacity of a run; short texts share it. */
const PLACES = 256;
/** Number of Executables kept, one for each adapter: each has its own temporary memory. */
const CAPACITY = 2;

/** Least rows of an output in a run, and most values in all of them: a vocabulary is wide. */
const ROWS = 64;
const VALUES = 2 ** 22;

/** A text, and the tokens whose hidden states or outputs are wanted. */
export interface WantedRows extends EncoderText {
  readonly rows: ArrayLike<number>;
}

interface TextPlace extends WantedRows {
  /** Index of its first token in the run. */
  readonly start: number;
}

/**
 * Encodes whole texts to one vector each, or to rows of hidden states or of an output of the architecture. Texts are packed
 * into runs without padding, and each attends only to itself. Takes token ids only.
 */
export class Encoder {
  readonly #backend: Backend;
  readonly #config: ModelConfig;
  readonly #places: number;
  readonly #types: ParamTypes;
  readonly #compute: Precision;
  readonly #inputs: TokenArrays;
  readonly #adapterIndex: DeviceArray;
  readonly #prepared = new ExecutableCache<string>(CAPACITY);
  /** Buffers by output. */
  readonly #results = new Map<string | undefined, DeviceArray>();
  /** Texts share the inputs of a run. */
  readonly #queue = new RunQueue("model");
  #bindings: Record<string, DeviceArray>;

  /** @param weights arrays of `backend`, one for each name in the tensor table. They are only read. */
  constructor(
    backend: Backend,
    config: ModelConfig,
    weights: ReadonlyMap<string, DeviceArray>,
    { compute }: Pick<ComputeOptions, "compute"> = {},
  ) {
    this.#backend = backend;
    this.#config = config;
    this.#places = Math.max(PLACES, config.nCtx);
    this.#types = new Map([...weights].map(([name, { dtype }]) => [name, dtype]));
    this.#compute = compute ?? defaultPrecision(this.#types, backend.capabilities);
    this.#inputs = new TokenArrays(backend, config, this.#places);
    const outputs = backend.alloc("i32", this.#places);
    const parameters = [...weights].map(([name, array]) => [paramBuffer(name), array] as const);
    this.#bindings = { ...Object.fromEntries(parameters), ...this.#inputs.bindings, outputs };
    this.#adapterIndex = backend.alloc("i32", this.#places);
    // Row of an adapter's gains for tokens that use it.
    this.#adapterIndex.write(new Int32Array(this.#places).fill(1));
  }

  /** A vector [C] for each text. @param texts each from 1 to nCtx ids of the vocabulary */
  async encode(texts: readonly (ArrayLike<number> | EncoderText)[], options: EncodeOptions): Promise<Float32Array[]> {
    const { pooling, ...rest } = options;
    const wanted = texts.map((text): WantedRows => {
      const given = "tokens" in text ? text : { tokens: text };
      return { ...given, rows: pooledRows(given.tokens.length, pooling) };
    });
    const rows = await this.rows(wanted, rest);
    if (pooling !== "mean") return rows;
    return rows.map((values, i) => meanOfRows(values, values.length / wanted[i]!.rows.length));
  }

  /** The wanted rows of each text, [rows, C] or [rows, width] of an output. */
  async rows(texts: readonly WantedRows[], options: RowsOptions): Promise<Float32Array[]> {
    const { signal, onProgress, output } = options;
    const found: Float32Array[] = [];
    for (const run of this.#runs(texts, this.#maxRows(output))) {
      const job = this.#queue.add(async () => {
        signal?.throwIfAborted();
        found.push(...(await this.#run(run, options)));
      });
      await orAborted(job, signal);
      onProgress?.(found.length);
    }
    return found;
  }

  /** Attention weights of one layer over a text. @throws {ShapeError} the model has fewer layers. */
  async attention(text: EncoderText, layer: number): Promise<AttentionMaps> {
    const program = hiddenProgram(this.#config, this.#places, { types: this.#types, compute: this.#compute });
    const place = attentionPlace(program, layer);
    const names = [...new Set([place.q.buffer.name, place.k.buffer.name])];
    return this.#queue.add(async () => {
      const N = text.tokens.length;
      const { first, last } = this.#writeInputs([{ ...text, rows: [0], start: 0 }], N);
      this.#bindings.outputs!.write([0]);
      const hidden = this.#backend.alloc("f32", this.#config.nEmbd * this.#places);
      const executable = await this.#backend.prepare(program, { ...this.#bindings, hidden }, { capture: names });
      try {
        await executable.run({ dims: { N, M: 1 } });
        const read = ({ buffer }: AttentionPlace["q"]) => executable.captured(buffer.name).read();
        return attentionWeights(place, await read(place.q), await read(place.k), first, last);
      } finally {
        executable.dispose();
        hidden.dispose();
      }
    });
  }

  /** Waits for the current runs, then releases its memory. The weights belong to the model. */
  async dispose(): Promise<void> {
    await this.#queue.close();
    this.#prepared.clear();
    this.#inputs.dispose();
    this.#bindings.outputs?.dispose();
    for (const array of this.#results.values()) array.dispose();
    this.#adapterIndex.dispose();
    this.#bindings = {};
  }

  #width(output: string | undefined): number {
    return output === undefined
      ? this.#config.nEmbd
      : architectureOf(this.#config).outputs![output]!.width(this.#config);
  }

  #maxRows(output: string | undefined): number {
    if (output === undefined) return this.#places;
    return Math.min(this.#places, Math.max(ROWS, Math.floor(VALUES / this.#width(output))));
  }

  /** Groups texts into runs, in order, as many as fit. */
  *#runs(texts: readonly WantedRows[], maxRows: number): Generator<TextPlace[], void, undefined> {
    let run: TextPlace[] = [];
    let [start, count] = [0, 0];
    for (const text of texts) {
      const { tokens, rows } = text;
      if (start + tokens.length > this.#places || (count > 0 && count + rows.length > maxRows)) {
        yield run;
        [run, start, count] = [[], 0, 0];
      }
      run.push({ ...text, start });
      start += tokens.length;
      count += rows.length;
    }
    if (run.length > 0) yield run;
  }

  async #run(run: readonly TextPlace[], { output, adapter }: RowsOptions): Promise<Float32Array[]> {
    const end = run.at(-1)!;
    const N = end.start + end.tokens.length;
    this.#writeInputs(run, N);
    const wanted = run.flatMap(({ rows, start }) => Array.from(rows, (row) => start + row));
    const [width, maxRows] = [this.#width(output), this.#maxRows(output)];
    const values = new Float32Array(wanted.length * width);
    const executable = await this.#executable(output, adapter);
    // A single text with more rows than fit is encoded again for each part of them.
    for (let from = 0; from < wanted.length; from += maxRows) {
      const part = wanted.slice(from, from + maxRows);
      this.#bindings.outputs!.write(part);
      await executable.run({ dims: { N, M: part.length } });
      values.set(await this.#results.get(output)!.read(0, part.length * width), from * width);
    }
    let at = 0;
    return run.map(({ rows }) => values.slice(at, (at += rows.length * width)));
  }

  #writeInputs(run: readonly TextPlace[], N: number): Pick<TokenColumns, "first" | "last"> {
    const column = (): Int32Array => new Int32Array(N);
    const { extraInputs } = architectureOf(this.#config);
    const own = Object.fromEntries(extraInputs.map((name) => [name, column()]));
    const columns = { tokens: column(), positions: column(), first: column(), last: column(), ...own };
    for (const { tokens, extra = {}, start } of run) {
      columns.tokens.set(tokens, start);
      for (let n = 0; n < tokens.length; n++) columns.positions[start + n] = n;
      columns.first.fill(start, start, start + tokens.length);
      for (const [name, values] of Object.entries(extra)) own[name]!.set(values, start);
    }
    fillLast(this.#config, columns.first, columns.last, N);
    this.#inputs.write(columns, N);
    return columns;
  }

  #executable(output: string | undefined, adapter: LoadedAdapter | undefined): Promise<Executable> {
    return this.#prepared.get(`${output} ${adapter?.id}`, () => this.#prepare(output, adapter));
  }

  #prepare(output: string | undefined, adapter: LoadedAdapter | undefined): Promise<Executable> {
    const adapters = adapter ? [adapter.ranks] : [];
    const maxRows = this.#maxRows(output);
    const hidden = this.#results.get(output) ?? this.#backend.alloc("f32", maxRows * this.#width(output));
    this.#results.set(output, hidden);
    const [types, compute] = [this.#types, this.#compute];
    const program = hiddenProgram(this.#config, this.#places, { types, compute, adapters, output, maxRows });
    const bound: Record<string, DeviceArray> = { ...this.#bindings, hidden };
    if (adapter === undefined) return this.#backend.prepare(program, bound);
    for (const [name, array] of adapter.tensors) bound[adapterBuffer(0, name)] = array;
    bound[adapterGainBuffer(0)] = adapter.gains;
    bound[adapterIndexBuffer(0)] = this.#adapterIndex;
    return this.#backend.prepare(program, bound);
  }
}

/** Indices of the hidden states that a pooling needs, of a text of `length` tokens. */
function pooledRows(length: number, pooling: Pooling): number[] {
  if (pooling === "mean") return Array.from({ length }, (_, n) => n);
  return [pooling === "first" ? 0 : length - 1];
}

/** The mean of rows of width C, in double precision. */
function meanOfRows(rows: ArrayLike<number>, C: number): Float32Array {
  const sums = new Float64Array(C);
  for (let i = 0; i < rows.length; i++) sums[i % C]! += rows[i]!;
  return Float32Array.from(sums, (sum) => sum / (rows.length / C));
}
