/** Memory and kernels in one of the places where WebAssembly can run; the backend is built on any of them. */
export interface Machine {
  readonly threads: number;
  /** For people: where the kernels run. */
  readonly place: string;
  /** Zeroed memory. @throws {OutOfMemoryError} */
  alloc(bytes: number): Block;
  /** Takes a copy of `ops`, whose addresses are those of {@link addressIn} `blocks`. */
  load(ops: Uint8Array, blocks: readonly Block[]): Code;
  /** Runs after everything started before. Resolves with the seconds of each op if `timed`. */
  run(code: Code, values: CodeValues, timed: boolean): Promise<Float64Array | undefined>;
  /** Multiply-add peak of all threads, FLOP/s. Takes a fraction of a second. */
  peakFlops(): Promise<number>;
}

/** Bytes of a machine's memory; freed when nothing refers to it any more. */
export interface Block {
  readonly bytes: number;
  /** The memory itself, where this thread can see it and it never moves. */
  readonly memory: { readonly buffer: ArrayBufferLike; readonly byteOffset: number } | undefined;
  /** Takes effect before any run started later. The source may be handed over: it is not to be used again. */
  write(at: number, source: Uint8Array<ArrayBuffer>): void;
  /** A copy. */
  read(at: number, bytes: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Operations that a machine has loaded. */
export interface Code {
  readonly count: number;
}

/** The sizes and numbers of one run. */
export interface CodeValues {
  readonly dims: BigInt64Array<ArrayBuffer>;
  readonly scalars: Float64Array<ArrayBuffer>;
}

/** A place in the memory of block number `index`, in the 8 bytes that a pointer has in an encoded op. */
export function addressIn(index: number, byteOffset: number): bigint {
  return (BigInt(index + 1) << 32n) | BigInt(byteOffset);
}
