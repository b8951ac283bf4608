import { DataError } from "../errors.js";
import type { Batch, Destination } from "./batch.js";
import type { InputFile } from "./inputs.js";
import { type ReadInputOptions, readInput } from "./read-input.js";
import { DocumentSplitter } from "./split-documents.js";
import { concatBytes } from "./text.js";

/** Size of a batch: small enough that a few per worker take little memory. */
const BATCH_BYTES = 1 << 20;

/** JSON must be parsed as a whole, and JavaScript strings cannot be much longer than this. */
const MAX_LINE_BYTES = 1 << 28;

export interface MakeBatchesOptions {
  readonly destination: Destination;
  /** Separator of documents in text files. Default: a line `<|endoftext|>`. */
  readonly separator?: string | undefined;
  /** Called with the number of bytes on disk read of each file so far. */
  readonly onRead?: ((file: number, bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Yields the contents of the files as batches for workers, in order and in bounded memory.
 *
 * @throws {DataError} a file is unreadable or damaged, or a JSONL line is too long to parse
 */
export async function* makeBatches(
  files: readonly InputFile[],
  options: MakeBatchesOptions,
): AsyncGenerator<Batch, void, undefined> {
  const text = new TextBatch(options.destination);
  for (const [index, file] of files.entries()) {
    const reading = { onRead: (bytes: number) => options.onRead?.(index, bytes), signal: options.signal };
    if (file.format === "text") {
      // Small files share a batch, which is yielded when full.
      yield* textBatches(text, index, file, options.separator, reading);
    } else {
      yield* text.take();
      yield* lineBatches(index, file, options.destination, reading);
    }
  }
  yield* text.take();
}

async function* textBatches(
  batch: TextBatch,
  index: number,
  file: InputFile,
  separator: string | undefined,
  reading: ReadInputOptions,
): AsyncGenerator<Batch, void, undefined> {
  const full: Batch[] = [];
  const splitter = new DocumentSplitter((bytes, begins) => {
    batch.add(bytes, begins, index);
    if (batch.size >= BATCH_BYTES) full.push(...batch.take());
  }, separator);
  for await (const chunk of readInput(file, reading)) {
    splitter.push(chunk);
    yield* full.splice(0);
  }
  splitter.end();
  yield* full;
}

/** Collects pieces of documents into one batch. */
class TextBatch {
  readonly #destination: Destination;
  #parts: Uint8Array[] = [];
  #ends: number[] = [];
  #begins: number[] = [];
  #files: number[] = [];
  /** Number of bytes collected. */
  size = 0;

  constructor(destination: Destination) {
    this.#destination = destination;
  }

  add(bytes: Uint8Array, begins: boolean, file: number): void {
    this.size += bytes.length;
    this.#parts.push(bytes);
    this.#ends.push(this.size);
    this.#begins.push(begins ? 1 : 0);
    this.#files.push(file);
  }

  /** Returns the batch collected so far, if not empty, and starts a new one. */
  take(): Batch[] {
    if (this.#parts.length === 0) return [];
    const bytes = concatBytes(this.#parts, this.size);
    const batch: Batch = {
      format: "text",
      destination: this.#destination,
      bytes,
      ends: Uint32Array.from(this.#ends),
      begins: Uint8Array.from(this.#begins),
      files: Uint32Array.from(this.#files),
    };
    this.#parts = [];
    this.#ends = [];
    this.#begins = [];
    this.#files = [];
    this.size = 0;
    return [batch];
  }
}

async function* lineBatches(
  index: number,
  file: InputFile,
  destination: Destination,
  reading: ReadInputOptions,
): AsyncGenerator<Batch, void, undefined> {
  let line = 1;
  let parts: Uint8Array[] = [];
  let size = 0;
  const take = (): Batch => {
    const bytes = concatBytes(parts, size);
    const batch: Batch = { format: "jsonl", destination, bytes, file: index, path: file.path, line };
    line += countLineFeeds(bytes);
    parts = [];
    size = 0;
    return batch;
  };
  for await (const chunk of readInput(file, reading)) {
    const lastBreak = chunk.lastIndexOf(LINE_FEED);
    parts.push(chunk.subarray(0, lastBreak + 1));
    size += lastBreak + 1;
    if (lastBreak >= 0 && size >= BATCH_BYTES) yield take();
    parts.push(chunk.subarray(lastBreak + 1));
    size += chunk.length - lastBreak - 1;
    if (size > MAX_LINE_BYTES) {
      throw new DataError({
        op: `reading ${file.path}, line ${line} or soon after it`,
        expected: `lines of at most ${MAX_LINE_BYTES >> 20} MiB`,
        got: "a longer one",
        hint: "Is it JSONL, one object per line? Text of any length can be read as .txt",
      });
    }
  }
  if (size > 0) yield take();
}

const LINE_FEED = 0x0a;

function countLineFeeds(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}
