import { CheckpointError } from "../errors.js";

/** A file mapped into a backend's memory. It stays mapped while anything refers to it. */
export interface MappedFile {
  readonly size: number;
  /** Returns a view; the range must be within the file. */
  bytes(offset: number, length: number): Uint8Array;
  /** Marks a part as not needed soon, so that its memory can be reused. */
  forget?(offset: number, length: number): void;
}

/** A part of a mapped file, in bytes. */
export interface MappedRange {
  readonly file: MappedFile;
  readonly offset: number;
  readonly length: number;
}

/** Read-only random access to a model file, whether mapped, read on demand, or already in memory. */
export interface ByteSource {
  /** The path or URL, for errors. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /** Whether `bytes` gives views of memory (a mapping, or a loaded file) rather than fresh copies. */
  readonly inMemory: boolean;
  /** The underlying mapping, if there is one. */
  readonly mapping?: MappedFile | undefined;
  /**
   * Returns `length` bytes from `offset`: a view where `inMemory`, else a fresh copy. Must not be written to.
   *
   * @throws {CheckpointError} the range leaves the file, or the file cannot be read.
   */
  bytes(offset: number, length: number): Uint8Array;
  /** Releases the file: `bytes` throws from then on; views returned earlier stay valid. */
  close(): void;
}

/** A source over bytes that are already in memory, such as a fetched file. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  // A plain array: slice() of a Node Buffer would not copy.
  const view = (offset: number, length: number) => new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length);
  return viewSource(name, bytes.byteLength, view);
}

export function mappedSource(name: string, file: MappedFile): ByteSource {
  const source = viewSource(name, file.size, (offset, length) => file.bytes(offset, length));
  return { ...source, mapping: file };
}

function viewSource(name: string, size: number, view: (offset: number, length: number) => Uint8Array): ByteSource {
  let open = true;
  return {
    name,
    size,
    inMemory: true,
    bytes(offset, length) {
      if (!open) throw closedError(name);
      checkRange(this, offset, length);
      return view(offset, length);
    },
    close() {
      open = false;
    },
  };
}

/** @throws {CheckpointError} [offset, offset + length) is not inside the source. */
export function checkRange(source: Pick<ByteSource, "name" | "size">, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (whole && offset >= 0 && length >= 0 && offset + length <= source.size) return;
  throw new CheckpointError({
    op: `reading ${source.name}`,
    expected: `a range within the file's ${source.size} bytes`,
    got: `${length} bytes at ${offset}`,
  });
}

export function closedError(name: string): CheckpointError {
  return new CheckpointError({ op: `reading ${name}`, expected: "an open file", got: "a closed file" });
}
