import type { MappedFile, MappedRange } from "../checkpoint/byte-source.js";
import type { DType, WeightType } from "../dtype/dtype.js";
import type { Program, RunValues } from "../program/program.js";
import type { ConversionFailure, WeightConversion } from "./weight-conversion.js";

/** The elements of an array in host memory; those of packed dtypes (src/dtype) as bytes. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/**
 * An array in a backend's memory. Arrays made by `slice` share memory. Reading is asynchronous because the memory may not be
 * the host's; `host` is the memory itself if it is. Lengths and offsets are in elements, even for packed dtypes, whose contents
 * are bytes: their offsets are multiples of the block, `write` takes bytes and `read` returns them.
 */
export interface DeviceArray {
  readonly dtype: DType;
  readonly length: number;
  readonly host: HostArray | undefined;
  slice(start: number, length: number): DeviceArray;
  /** Copies `source` to the elements from `offset` on; takes effect before any run started later. */
  write(source: ArrayLike<number>, offset?: number): void;
  /** Returns a copy of the elements [start, start + length), after every run started earlier. */
  read(start?: number, length?: number): Promise<HostArray>;
  /**
   * Copies all of `source`, an array of the same backend and dtype that does not overlap, to the elements from `offset`
   * on: on the device, after every run started earlier and before any started later.
   */
  copyFrom(source: DeviceArray, offset?: number): Promise<void>;
  /**
   * Releases the memory, for every array which shares it, as soon as the runs started earlier are done. From now on
   * these arrays, and Executables bound to them, throw {@link DisposedError}; a view taken from `host` before must no longer
   * be used. Disposing twice is allowed.
   */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Memory for each external buffer of a Program, by name. */
export type Bindings = Readonly<Record<string, DeviceArray>> | ReadonlyMap<string, DeviceArray>;

export interface PrepareOptions {
  /** Temporary buffers to keep readable after a run: captured activations. */
  readonly capture?: readonly string[];
}

/** A Program prepared on one backend, with its memory: it can run any number of times. */
export interface Executable {
  readonly program: Program;
  /** Bytes of planned temporary memory. */
  readonly tempBytes: number;
  /**
   * Runs the Program once. The event loop stays free meanwhile. Runs of one backend never overlap: a second waits for
   * the first.
   *
   * @throws {DisposedError} the Executable, its backend or an array bound to it was disposed of.
   */
  run(values?: RunValues): Promise<void>;
  /**
   * Seconds spent in each op, in the order of `program.ops`, summed over the runs since timing was switched on; undefined
   * while it is off.
   */
  readonly opSeconds: Float64Array | undefined;
  timeOps(on: boolean): void;
  /** The memory of a captured buffer, with the contents of the last run. */
  captured(name: string): DeviceArray;
  /** Releases the temporary memory once the runs started earlier are done; bound arrays are not released. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Abilities of a backend beyond running Programs, for planning memory and for loading weights. */
export interface Capabilities {
  /** Number of compute threads. */
  readonly threads: number;
  /** Bytes of the largest array that it can allocate, memory permitting. */
  readonly maxArrayBytes: number;
  /** Whether memory is committed only when it is written to, so that spare capacity costs nothing. */
  readonly lazyMemory: boolean;
  /** Whether it maps files: {@link Backend.mapFile}. */
  readonly mappedFiles: boolean;
  /** Dtypes that it can use in place in a mapped file: {@link Backend.inPlace}. */
  readonly inPlaceTypes: readonly WeightType[];
  /** Whether it measures its peak: {@link Backend.peakFlops}. */
  readonly peak: boolean;
  /** Whether it computes products in bf16 faster than in f32. */
  readonly fastBf16: boolean;
  /** Whether it computes products of many tokens faster in bf16 than as integer products. */
  readonly bf16OverIntegers: boolean;
}

/** A device that runs Programs: see the table in docs/architecture.md. Each is created by an asynchronous function of its folder. */
export interface Backend {
  /** The backend's folder; for messages only: no code may depend on it. */
  readonly name: string;
  /** A description for users: `native (AVX-512, 2 threads)`. */
  readonly description: string;
  readonly capabilities: Capabilities;
  /** Allocates zeroed memory. @throws {OutOfMemoryError} */
  alloc(dtype: DType, length: number): DeviceArray;
  prepare(program: Program, bindings: Bindings, options?: PrepareOptions): Promise<Executable>;
  /** Maps a whole file into memory that the backend can read; undefined where that is impossible. */
  mapFile?(path: string): MappedFile | undefined;
  /** Uses part of a file mapped by this backend as an array, without a copy; undefined if that is impossible. */
  inPlace?(dtype: WeightType, range: MappedRange): DeviceArray | undefined;
  /** Converts weights to another dtype or layout, one after the other on another thread; calls may overlap. */
  convertWeights?(conversions: readonly WeightConversion[]): Promise<ConversionFailure | undefined>;
  /** Multiply-add peak of all threads, in FLOP/s: the most that a kernel could reach. Takes a fraction of a second. */
  peakFlops?(): Promise<number>;
  /**
   * Waits for the runs started earlier, then releases everything that the backend made: memory, mapped files, Executables, threads.
   * From now on they throw {@link DisposedError}.
   */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The array's own memory, if it is host memory in single precision. */
export function hostFloats({ host }: DeviceArray): Float32Array | undefined {
  return host instanceof Float32Array ? host : undefined;
}

export function bindingOf(bindings: Bindings, name: string): DeviceArray | undefined {
  return bindings instanceof Map
    ? bindings.get(name)
    : (bindings as Readonly<Record<string, DeviceArray | undefined>>)[name];
}
