import type { ModelConfig } from "../architectures/config.js";
import { TokenArrays, type TokenColumns } from "../architectures/token-inputs.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { Sequence } from "./engine.js";

/** Tokens to add to a sequence. */
export interface Extension {
  readonly sequence: Sequence;
  readonly tokens: ArrayLike<number>;
  /** The number of last tokens to compute logits for. Default 1. */
  readonly logits?: number;
}

/** A token of a run, at its index among the run's tokens. */
interface ChunkToken {
  readonly id: number;
  readonly sequence: Sequence;
}

/** The token that a row of logits follows. */
export interface Row {
  readonly extension: number;
  readonly token: number;
}

export interface Chunk {
  readonly tokens: readonly ChunkToken[];
  readonly rows: readonly Row[];
  /** [rows] index into tokens. */
  readonly outputs: readonly number[];
}

/** Cuts the tokens of all extensions, in order, into runs. */
export function* chunks(extensions: readonly Extension[], maxTokens: number, maxLogits: number): Generator<Chunk> {
  let tokens: ChunkToken[] = [];
  let rows: Row[] = [];
  let outputs: number[] = [];
  for (const [extension, { sequence, tokens: ids, logits = 1 }] of extensions.entries()) {
    for (let token = 0; token < ids.length; token++) {
      const wanted = token >= ids.length - logits;
      if (tokens.length === maxTokens || (wanted && rows.length === maxLogits)) {
        yield { tokens, rows, outputs };
        [tokens, rows, outputs] = [[], [], []];
      }
      if (wanted) {
        outputs.push(tokens.length);
        rows.push({ extension, token });
      }
      tokens.push({ id: ids[token]!, sequence });
    }
  }
  if (tokens.length > 0) yield { tokens, rows, outputs };
}

/** The i32 inputs of a run: see {@link decodeProgram}. */
export class Inputs {
  readonly bindings: Record<string, DeviceArray>;
  readonly targets: DeviceArray;
  readonly #arrays: TokenArrays;
  readonly #columns: TokenColumns;
  readonly #backend: Backend;
  readonly #maxTokens: number;
  readonly #adapterIndices: DeviceArray[] = [];

  constructor(backend: Backend, config: ModelConfig, maxTokens: number, maxLogits: number) {
    this.#backend = backend;
    this.#maxTokens = maxTokens;
    this.#arrays = new TokenArrays(backend, config, maxTokens);
    const column = (): Int32Array => new Int32Array(maxTokens);
    this.#columns = { tokens: column(), positions: column(), first: column(), last: column() };
    const [row, outputs] = [backend.alloc("i32", maxTokens), backend.alloc("i32", maxLogits)];
    this.bindings = { ...this.#arrays.bindings, row, outputs };
    this.targets = backend.alloc("i32", maxLogits);
  }

  write({ tokens, outputs }: Chunk): void {
    const { tokens: ids, positions, first, last } = this.#columns;
    const added = new Map<Sequence, number>();
    for (const [n, { id, sequence }] of tokens.entries()) {
      const position = sequence.length + (added.get(sequence) ?? 0);
      added.set(sequence, position - sequence.length + 1);
      ids[n] = id;
      positions[n] = position;
      first[n] = sequence.firstRow;
      // A token sees its own row last.
      last[n] = sequence.firstRow + position;
    }
    this.#arrays.write(this.#columns, tokens.length);
    this.bindings.row!.write(last.subarray(0, tokens.length));
    this.bindings.outputs!.write(outputs);
  }

  /** Writes which tokens use which adapter; returns the adapters, and for each the array of its tokens' gain rows. */
  writeAdapters({ tokens }: Chunk): [adapters: LoadedAdapter[], indices: DeviceArray[]] {
    const used = new Set(tokens.flatMap(({ sequence: { adapter } }) => (adapter ? [adapter] : [])));
    const adapters = [...used].sort((a, b) => a.id - b.id);
    const indices = adapters.map((adapter, i) => {
      this.#adapterIndices[i] ??= this.#backend.alloc("i32", this.#maxTokens);
      this.#adapterIndices[i].write(tokens.map(({ sequence }) => (sequence.adapter === adapter ? 1 : 0)));
      return this.#adapterIndices[i];
    });
    return [adapters, indices];
  }

  writeTargets(targets: readonly number[]): void {
    this.targets.write(targets);
  }

  dispose(): void {
    for (const array of [...Object.values(this.bindings), this.targets, ...this.#adapterIndices]) array.dispose();
  }

  /** Rows `from` on and `to` on, N of each, for the copy-rows Program. */
  writeCopy(from: number, to: number, N: number): void {
    this.bindings.first!.write(Int32Array.from({ length: N }, (_, n) => from + n));
    this.bindings.row!.write(Int32Array.from({ length: N }, (_, n) => to + n));
  }
}
