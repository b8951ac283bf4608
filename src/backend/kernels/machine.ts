import type { BufferDecl, Program } from "../../program/program.js";

/**
 * Memory, and the C kernels compiled for it, in one of the places where they can run: a team of native threads, or
 * WebAssembly on this thread, on workers that share its memory, or on a worker with memory of its own. Arrays, Executables
 * and backends (array.ts, executable.ts, backend.ts) work over any of them.
 */
export interface Machine {
  readonly threads: number;
  /** Zeroed memory. @throws {OutOfMemoryError} */
  alloc(bytes: number): Block;
  /** Encodes the Program for the kernels. @param placeOf the memory of each buffer that its ops use */
  load(program: Program, placeOf: (buffer: BufferDecl) => Place): Code;
  /** Runs after everything started before. Adds the time of each op to `seconds`. @throws {OutOfMemoryError} */
  run(code: Code, values: EncodedValues, seconds?: Float64Array): Promise<void>;
  /** Copies bytes between blocks, after everything started before and before anything started later. */
  copy(to: Place, from: Place, bytes: number): Promise<void>;
  /** Resolves when everything started before has finished. */
  idle(): Promise<unknown>;
  /** Multiply-add peak of all threads, in FLOP/s. Takes a fraction of a second. */
  peakFlops(): Promise<number>;
  /** Waits for everything started before, then releases threads, memory and mapped files. */
  dispose(): Promise<void>;
}

/** A block of a machine's memory; released by `dispose`, or when nothing refers to it any more. */
export interface Block {
  /** Bytes. */
  readonly length: number;
  /** Whether it, or its machine, was disposed of. Its other methods must not be called then. */
  readonly disposed: boolean;
  /** The memory itself if this thread can see it and it never moves; for internal use only. */
  view(at: number, bytes: number): BlockView | undefined;
  /** Called before a view is handed out, because the view may outlive the block. */
  expose(view: BlockView): void;
  /** Takes effect before any run started later. The source may be transferred to another thread: the caller must not use it afterwards. */
  write(at: number, source: Uint8Array<ArrayBuffer>): void;
  /** Returns a copy. */
  read(at: number, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
  dispose(): void;
}

export interface BlockView {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
}

export interface Place {
  readonly block: Block;
  /** Bytes. */
  readonly offset: number;
}

/** Operations that a machine has loaded. */
export interface Code {
  readonly count: number;
  dispose(): void;
}

/** The sizes and numbers of one run. */
export interface EncodedValues {
  readonly dims: BigInt64Array<ArrayBuffer>;
  readonly scalars: Float64Array<ArrayBuffer>;
}
