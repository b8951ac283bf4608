import type { ModelConfig } from "../architectures/config.js";
import { TokenArrays, type TokenColumns } from "../architectures/token-inputs.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { KernelPath } from "../program/kernel-paths.js";
import type { Sequence } from "./engine.js";

/** The kernels of a run. A token's bits depend on them, never on the tokens beside it. */
export type RunPath = Exclude<KernelPath, "auto">;

/** Tokens to add to a sequence. */
export interface Extension {
  readonly sequence: Sequence;
  readonly tokens: ArrayLike<number>;
  /** Number of tokens, counted from the last, to compute logits for. Default 1. */
  readonly logits?: number;
  /** Default: `streamed` for up to {@link FEW_TOKENS}, else `packed`. */
  readonly path?: RunPath | undefined;
}

/** Tokens of a sequence for which streaming the weights is faster than packing them. */
export const FEW_TOKENS = 8;

export const pathOf = (count: number): RunPath => (count <= FEW_TOKENS ? "streamed" : "packed");

/** A token of a run, at its index among the run's tokens. */
interface ChunkToken {
  readonly id: number;
  readonly sequence: Sequence;
}

/** The adapters that a run's tokens use. */
export function adaptersOf({ tokens }: Chunk): Set<LoadedAdapter> {
  return new Set(tokens.flatMap(({ sequence: { adapter } }) => (adapter ? [adapter] : [])));
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

/** Limits of a run. */
export interface RunLimits {
  readonly maxTokens: number;
  readonly maxLogits: number;
  /**
   * Runs of a sequence begin at multiples of this and end at the next multiple at the latest. Sliding-window attention
   * takes its keys in blocks from the run's first key on, so bits depend on where a run begins. Undefined without windows.
   */
  readonly grain: number | undefined;
}

/** Tokens [from, to) of an extension. */
interface Piece {
  readonly extension: number;
  readonly from: number;
  readonly to: number;
}

/** Splits the tokens of all extensions, in order, into runs of one path. */
export function* chunks(extensions: readonly Extension[], path: RunPath, limits: RunLimits): Generator<Chunk> {
  for (const round of rounds(extensions, path, limits.grain)) yield* cut(extensions, round, limits);
}

/** Pieces of extensions. If runs have to begin at the grain, a round has at most one piece of each sequence. */
function* rounds(extensions: readonly Extension[], path: RunPath, grain: number | undefined): Generator<Piece[]> {
  const whole = [...extensions.entries()]
    .filter(([, { tokens, path: own = pathOf(tokens.length) }]) => own === path)
    .map(([extension, { tokens }]) => ({ extension, from: 0, to: tokens.length }));
  if (grain === undefined || path === "streamed") {
    yield whole;
    return;
  }
  const starts = new Map(whole.map(({ extension }) => [extension, extensions[extension]!.sequence.length]));
  for (let left: readonly Piece[] = whole; left.length > 0; left = left.filter(({ from, to }) => from < to)) {
    const round = left.map(({ extension, from, to }) => {
      const next = grain - ((starts.get(extension)! + from) % grain);
      return { extension, from, to: Math.min(to, from + next) };
    });
    yield round;
    left = left.map((piece, i) => ({ ...piece, from: round[i]!.to }));
  }
}

function* cut(
  extensions: readonly Extension[],
  pieces: readonly Piece[],
  { maxTokens, maxLogits }: RunLimits,
): Generator<Chunk> {
  let tokens: ChunkToken[] = [];
  let rows: Row[] = [];
  let outputs: number[] = [];
  for (const { extension, from, to } of pieces) {
    const { sequence, tokens: ids, logits = 1 } = extensions[extension]!;
    for (let token = from; token < to; token++) {
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

  /** Assigns adapters to tokens. Returns for each adapter the rows of gains that the tokens take. */
  writeAdapters({ tokens }: Chunk, adapters: readonly LoadedAdapter[]): DeviceArray[] {
    return adapters.map((adapter, i) => {
      this.#adapterIndices[i] ??= this.#backend.alloc("i32", this.#maxTokens);
      this.#adapterIndices[i].write(tokens.map(({ sequence }) => (sequence.adapter === adapter ? 1 : 0)));
      return this.#adapterIndices[i];
    });
  }

  writeTargets(targets: readonly number[]): void {
    this.targets.write(targets);
  }

  dispose(): void {
    for (const array of [...Object.values(this.bindings), this.targets, ...this.#adapterIndices]) array.dispose();
  }
}
