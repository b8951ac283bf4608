/** The text of an input file, decompressed, in chunks of UTF-8. */
import { addAbortSignal, pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { DataError } from "../errors.js";
import { readError, readFailure } from "../util/file-errors.js";
import { byteStream } from "./byte-stream.js";
import { type Compression, compressionOf, type InputFile } from "./inputs.js";
import { textChunks } from "./text.js";
import { ZstdDecoder } from "./zstd.js";

const CHUNK_BYTES = 1 << 18;

type ReadableFile = Pick<InputFile, "path" | "copy" | "compression">;

export interface ReadInputOptions {
  /** Called with the number of bytes read from the file, for progress. */
  readonly onRead?: ((bytes: number) => void) | undefined;
  /** Aborts waiting for bytes, which a pipe may never send. */
  readonly signal?: AbortSignal | undefined;
}

/** @throws {DataError} the file is unreadable, damaged or not text; or the signal's reason. */
export async function* readInput(
  file: ReadableFile,
  options: ReadInputOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* textChunks(readBytes(file, options), file.path);
}

/** Reads a whole text file, plain, gzip or zstd. @throws as {@link readInput}. */
export async function readTextFile(path: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readInput({ path, compression: compressionOf(path) })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** @throws {DataError} */
async function* readBytes(
  { path, copy, compression: named }: ReadableFile,
  { onRead, signal }: ReadInputOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let [source, compression]: [ReturnType<typeof byteStream> | undefined, typeof named] = [undefined, named];
  try {
    source = byteStream(copy ?? path);
    if (signal) addAbortSignal(signal, source);
    const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    const start = await takeStart(chunks);
    compression ??= sniffCompression(start);
    for await (const chunk of DECODERS[compression](rest(start, chunks))) {
      onRead?.(source.bytesRead);
      yield chunk;
    }
    onRead?.(source.bytesRead);
  } catch (cause) {
    signal?.throwIfAborted();
    const op = `reading ${path}`;
    if (compression === undefined || compression === "none") throw readError(cause, op, "a text file", DataError);
    const hint = "The file is damaged or truncated; fetch a new copy or rebuild it";
    throw new DataError({ op, expected: `whole ${compression} data`, got: readFailure(cause), hint, cause });
  } finally {
    source?.destroy();
  }
}

type Decoder = (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

const DECODERS: Readonly<Record<Compression, Decoder>> = { none: (chunks) => chunks, gzip: gunzip, zstd: unzstd };

/** Recognizes compression by the first bytes (RFC 1952; RFC 8878), for files whose names do not tell. */
function sniffCompression(start: Uint8Array): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return "gzip";
  const isZstd = start[0] === 0x28 && start[1] === 0xb5 && start[2] === 0x2f && start[3] === 0xfd;
  return isZstd ? "zstd" : "none";
}

/** Reads at least the four bytes by which compressions are recognized, if there are as many. */
async function takeStart(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let start: Uint8Array = new Uint8Array(0);
  while (start.length < 4) {
    const { value, done } = await chunks.next();
    if (done) break;
    start = start.length === 0 ? value : Buffer.concat([start, value]);
  }
  return start;
}

async function* rest(
  start: Uint8Array,
  chunks: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (start.length > 0) yield start;
  for (;;) {
    const { value, done } = await chunks.next();
    if (done) return;
    yield value;
  }
}

async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const transform = createGunzip({ chunkSize: CHUNK_BYTES });
  // The iteration throws errors; the callback only keeps them from being thrown twice.
  const stream = pipeline(Readable.from(chunks), transform, () => {});
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } finally {
    stream.destroy();
  }
}

async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = await ZstdDecoder.create();
  for await (const chunk of chunks) yield* decoder.push(chunk);
  decoder.end();
}
