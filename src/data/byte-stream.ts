import { constants, createReadStream, openSync, statSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";

const CHUNK_BYTES = 1 << 18;

/**
 * The bytes of a file, from its start. A FIFO is opened without waiting for a writer: an open that waits holds a thread of
 * the event loop's pool, which keeps even `process.exit` from ending the process.
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
