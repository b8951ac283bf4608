import type { DType } from "../dtype/dtype.js";
import type { Program, RunValues } from "../program/program.js";

/** Packed types (src/dtype) are their bytes. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/**
 * Memory of a backend. Arrays made by `slice` share it. Reading is asynchronous because some memory is not the host's;
 * `host` is the memory itself where it is. Lengths and positions are in elements, also of packed types, whose contents
 * are bytes: there positions are multiples of the block, `write` takes bytes and `read` gives them.
 */
export interface DeviceArray {
  readonly dtype: DType;
  readonly length: number;
  readonly host: HostArray | undefined;
  slice(start: number, length: number): DeviceArray;
  /** Copies `source` to the elements from `offset` on; takes effect before any run started later. */
  write(source: ArrayLike<number>, offset?: number): void;
  /** A copy of the elements [start, start + length). */
  read(start?: number, length?: number): Promise<HostArray>;
}

/** Memory for each external buffer of a Program, by name. */
export type Bindings = Readonly<Record<string, DeviceArray>> | ReadonlyMap<string, DeviceArray>;

export interface PrepareOptions {
  /** Temporary buffers to keep readable after a run: captured activations. */
  readonly capture?: readonly string[];
}

/** A Program with its memory on one backend, ready to run any number of times. */
export interface Executable {
  readonly program: Program;
  /** Bytes of temporary memory planned for it. */
  readonly tempBytes: number;
  /**
   * Runs the Program once. The event loop stays free meanwhile. Runs of one backend never overlap: a second waits for
   * the first.
   */
  run(values?: RunValues): Promise<void>;
  /**
   * Seconds spent in each op, in the order of `program.ops`, summed over the runs since timing was switched on; undefined
   * while it is off.
   */
  readonly opSeconds: Float64Array | undefined;
  timeOps(on: boolean): void;
  /** The memory of a captured buffer, as of the last run. */
  captured(name: string): DeviceArray;
}

/** What runs Programs: see the table in docs/architecture.md. */
export interface Backend {
  readonly name: string;
  /** For people: `native (AVX-512, 2 threads)`. */
  readonly description: string;
  /** Zeroed memory. @throws {OutOfMemoryError} */
  alloc(dtype: DType, length: number): DeviceArray;
  prepare(program: Program, bindings: Bindings, options?: PrepareOptions): Executable;
}

export function bindingOf(bindings: Bindings, name: string): DeviceArray | undefined {
  return bindings instanceof Map
    ? bindings.get(name)
    : (bindings as Readonly<Record<string, DeviceArray | undefined>>)[name];
}
