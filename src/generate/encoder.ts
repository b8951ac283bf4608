import type { Pooling } from "../architectures/architecture.js";
import type { ModelConfig } from "../architectures/config.js";
import {
  adapterBuffer,
  adapterGainBuffer,
  adapterIndexBuffer,
  type ParamTypes,
  paramBuffer,
} from "../architectures/declare.js";
import { hiddenProgram } from "../architectures/programs.js";
import { fillLast, TokenArrays } from "../architectures/token-inputs.js";
import type { Backend, DeviceArray, Executable } from "../backend/backend.js";
import { ExecutableCache } from "../backend/executable-cache.js";
import { RunQueue } from "../backend/run-queue.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import { orAborted } from "../util/abort.js";

export const POOLINGS: readonly Pooling[] = ["mean", "first", "last"];

export interface EncodeOptions {
  readonly pooling: Pooling;
  readonly adapter?: LoadedAdapter | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of texts done. */
  readonly onProgress?: ((texts: number) => void) | undefined;
}

/** Least token capacity of a run, which short texts share. */
const PLACES = 256;
/** Executables kept, one for each adapter: each has temporary memory of its own. */
const CAPACITY = 2;

interface TextPlace {
  readonly text: number;
  readonly tokens: ArrayLike<number>;
  /** Its first place in the run. */
  readonly start: number;
}

/** Encodes whole texts to a vector each, several packed into a run, each attending to itself alone. Token ids only. */
export class Encoder {
  readonly #backend: Backend;
  readonly #config: ModelConfig;
  readonly #places: number;
  readonly #types: ParamTypes;
  readonly #inputs: TokenArrays;
  readonly #adapterIndex: DeviceArray;
  readonly #prepared = new ExecutableCache<number>(CAPACITY);
  /** Texts share the inputs of a run. */
  readonly #queue = new RunQueue("model");
  #bindings: Record<string, DeviceArray>;

  /** @param weights arrays of `backend`, one for each name in the tensor table; only read. */
  constructor(backend: Backend, config: ModelConfig, weights: ReadonlyMap<string, DeviceArray>) {
    this.#backend = backend;
    this.#config = config;
    this.#places = Math.max(PLACES, config.nCtx);
    this.#types = new Map([...weights].map(([name, { dtype }]) => [name, dtype]));
    this.#inputs = new TokenArrays(backend, config, this.#places);
    const outputs = backend.alloc("i32", this.#places);
    const parameters = [...weights].map(([name, array]) => [paramBuffer(name), array] as const);
    const hidden = backend.alloc("f32", this.#places * config.nEmbd);
    this.#bindings = { ...Object.fromEntries(parameters), ...this.#inputs.bindings, outputs, hidden };
    this.#adapterIndex = backend.alloc("i32", this.#places);
    // The row of an adapter's gains for tokens that use it.
    this.#adapterIndex.write(new Int32Array(this.#places).fill(1));
  }

  /** A vector [C] for each text. @param texts from 1 to nCtx ids of the vocabulary each */
  async encode(texts: readonly ArrayLike<number>[], options: EncodeOptions): Promise<Float32Array[]> {
    const { signal, onProgress } = options;
    const vectors: Float32Array[] = [];
    for (const run of this.#runs(texts)) {
      const job = this.#queue.add(async () => {
        signal?.throwIfAborted();
        vectors.push(...(await this.#run(run, options)));
      });
      await orAborted(job, signal);
      onProgress?.(vectors.length);
    }
    return vectors;
  }

  /** Waits for the runs under way, then releases its memory; the weights are the model's. */
  async dispose(): Promise<void> {
    await this.#queue.close();
    this.#prepared.clear();
    this.#inputs.dispose();
    for (const name of ["outputs", "hidden"]) this.#bindings[name]?.dispose();
    this.#adapterIndex.dispose();
    this.#bindings = {};
  }

  /** As many texts as fit, in their order. */
  *#runs(texts: readonly ArrayLike<number>[]): Generator<TextPlace[], void, undefined> {
    let run: TextPlace[] = [];
    let start = 0;
    for (const [text, tokens] of texts.entries()) {
      if (start + tokens.length > this.#places) {
        yield run;
        [run, start] = [[], 0];
      }
      run.push({ text, tokens, start });
      start += tokens.length;
    }
    if (run.length > 0) yield run;
  }

  async #run(run: readonly TextPlace[], { pooling, adapter }: EncodeOptions): Promise<Float32Array[]> {
    const { nEmbd: C } = this.#config;
    const end = run.at(-1)!;
    const N = end.start + end.tokens.length;
    const column = (): Int32Array => new Int32Array(N);
    const columns = { tokens: column(), positions: column(), first: column(), last: column() };
    for (const { tokens, start } of run) {
      columns.tokens.set(tokens, start);
      for (let n = 0; n < tokens.length; n++) columns.positions[start + n] = n;
      columns.first.fill(start, start, start + tokens.length);
    }
    fillLast(this.#config, columns.first, columns.last, N);
    this.#inputs.write(columns, N);
    const outputs = outputsOf(run, N, pooling);
    this.#bindings.outputs!.write(outputs);
    const executable = await this.#executable(adapter);
    await executable.run({ dims: { N, M: outputs.length } });
    const hidden = await this.#bindings.hidden!.read(0, outputs.length * C);
    return run.map(({ tokens, start }, i) => {
      if (pooling !== "mean") return Float32Array.from(hidden.subarray(i * C, (i + 1) * C));
      return meanOfRows(hidden.subarray(start * C, (start + tokens.length) * C), C);
    });
  }

  #executable(adapter: LoadedAdapter | undefined): Promise<Executable> {
    return this.#prepared.get(adapter?.id ?? -1, () => this.#prepare(adapter));
  }

  #prepare(adapter: LoadedAdapter | undefined): Promise<Executable> {
    const adapters = adapter ? [adapter.ranks] : [];
    const program = hiddenProgram(this.#config, this.#places, { types: this.#types, adapters });
    if (adapter === undefined) return this.#backend.prepare(program, this.#bindings);
    const bound = { ...this.#bindings };
    for (const [name, array] of adapter.tensors) bound[adapterBuffer(0, name)] = array;
    bound[adapterGainBuffer(0)] = adapter.gains;
    bound[adapterIndexBuffer(0)] = this.#adapterIndex;
    return this.#backend.prepare(program, bound);
  }
}

/** The places whose hidden states a pooling needs. */
function outputsOf(run: readonly TextPlace[], N: number, pooling: Pooling): number[] {
  if (pooling === "mean") return Array.from({ length: N }, (_, n) => n);
  return run.map(({ tokens, start }) => (pooling === "first" ? start : start + tokens.length - 1));
}

/** Of rows of width C, in double precision. */
function meanOfRows(rows: ArrayLike<number>, C: number): Float32Array {
  const sums = new Float64Array(C);
  for (let i = 0; i < rows.length; i++) sums[i % C]! += rows[i]!;
  return Float32Array.from(sums, (sum) => sum / (rows.length / C));
}
