import { constants, createReadStream, openSync, statSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";

const CHUNK_BYTES = 1 << 18;

/**
 * Streams the bytes of a file. A FIFO is opened without waiting for a writer, because a waiting open occupies a thread of the
 * event loop's pool, and then even `process.exit` cannot end the process.
 *
 * @throws the file system's error, here or in the stream.
 */
export function byteStream(path: string): Readable & { readonly bytesRead: number } {
  if (!statSync(path, { throwIfNoEntry: false })?.isFIFO()) {
    return createReadStream(path, { highWaterMark: CHUNK_BYTES });
  }
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false });
}
