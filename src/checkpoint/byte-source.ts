import { CheckpointError } from "../errors.js";

/** Read-only random access to a model file, whether it is mapped, read on demand, or already in memory. */
export interface ByteSource {
  /** The path or URL that errors name. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Whether `bytes` gives views of memory (a mapping, or a loaded file) rather than fresh copies. */
  readonly inMemory: boolean;
  /**
   * `length` bytes from `offset`: a view where `inMemory`, else a fresh copy. Never written to.
   *
   * @throws {CheckpointError} the range leaves the file, or the file cannot be read.
   */
  bytes(offset: number, length: number): Uint8Array;
  /** Gives the file back; `bytes` throws from then on, views handed out before stay valid. */
  close(): void;
}

/** A source over bytes that are already in memory: a fetched file, or a mapping of one. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  // A plain array: slice() of a Node Buffer would not copy.
  let open: Uint8Array | undefined = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    name,
    size: bytes.byteLength,
    inMemory: true,
    bytes(offset, length) {
      if (open === undefined) throw closedError(name);
      checkRange(this, offset, length);
      return open.subarray(offset, offset + length);
    },
    close() {
      open = undefined;
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
  return new CheckpointError({ op: `reading ${name}`, expected: "an open file", got: "one that was closed" });
}
