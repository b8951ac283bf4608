/** The bytes of an input file, decompressed, in chunks. */
import { createReadStream, type ReadStream } from "node:fs";
import { pipeline, type Readable, Transform } from "node:stream";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";
import { DataError } from "../errors.js";
import type { InputFile } from "./inputs.js";

const CHUNK_BYTES = 1 << 18;

/**
 * @param onRead told how many bytes of the file itself have been read, for progress
 * @throws {DataError} unreadable, or damaged compressed data
 */
export async function* readInput(
  file: InputFile,
  onRead?: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = createReadStream(file.path, { highWaterMark: CHUNK_BYTES });
  const stream = decompressed(source, file);
  try {
    for await (const chunk of stream) {
      onRead?.(source.bytesRead);
      yield chunk as Uint8Array;
    }
    onRead?.(source.bytesRead);
  } catch (cause) {
    throw new DataError({
      op: `reading ${file.path}`,
      ...(file.compression === "none" ? {} : { expected: `whole ${file.compression} data` }),
      got: (cause as Error).message,
      ...(file.compression === "none" ? {} : { hint: "The file is damaged or cut short; fetch or make it again." }),
      cause,
    });
  } finally {
    source.destroy();
    stream.destroy();
  }
}

function decompressed(source: ReadStream, file: InputFile): Readable {
  if (file.compression === "none") return source;
  const transform = file.compression === "gzip" ? createGunzip({ chunkSize: CHUNK_BYTES }) : zstdDecompressor();
  // The iteration over the last stream throws whatever goes wrong; the callback only keeps it from being thrown twice.
  return pipeline(source, transform, () => {});
}

/**
 * Not Node's own zstd (22.15 and later): it ends without a word after the first frame of a file that has several, as
 * `pzstd` and `cat a.zst b.zst` make them. Seen in Node 24.21.
 */
function zstdDecompressor(): Transform {
  const decoder = new Decompress();
  const push = (chunk: Uint8Array, final: boolean, done: (error?: Error) => void) => {
    try {
      decoder.push(chunk, final);
    } catch (error) {
      done(error as Error);
      return;
    }
    done();
  };
  const stream = new Transform({
    // The decoder keeps parts of its input.
    transform: (chunk: Uint8Array, _encoding, done) => push(Uint8Array.from(chunk), false, done),
    // A frame of a few bytes only comes out at the end.
    flush: (done) => push(new Uint8Array(0), true, done),
  });
  // The decoder writes over its output.
  decoder.ondata = (data) => stream.push(Buffer.from(data));
  return stream;
}
