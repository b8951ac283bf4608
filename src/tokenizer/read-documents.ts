import { open } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { DataError } from "../errors.js";

export interface ReadDocumentsOptions {
  /** A line that is exactly this ends a document; `<|endoftext|>` by default. */
  readonly separator?: string;
  /** Called with the bytes read from disk, compressed or not, as they come. */
  readonly onBytes?: (bytes: number) => void;
}

/** A document grows to about this many characters before it is handed out in pieces. */
const PIECE = 1 << 20;

/**
 * Documents of a UTF-8 text file, gzip too (by its first bytes, not its name), without the separator lines. Large
 * documents come in pieces, cut where a pre-token ends for certain: before white space that follows something else.
 *
 * @throws {DataError} the file cannot be read, or is not gzip all through.
 */
export async function* readDocuments(path: string, options: ReadDocumentsOptions = {}): AsyncGenerator<string> {
  const separator = `\n${options.separator ?? "<|endoftext|>"}\n`;
  const decoder = new TextDecoder();
  // Starts with a line feed so that a separator on the first line looks like any other.
  let pending = "\n";
  let first = true;
  const piece = function* (text: string): Generator<string> {
    const content = first ? text.slice(1) : text;
    first = false;
    if (content !== "") yield content;
  };
  try {
    for await (const chunk of await openText(path, options.onBytes)) {
      pending += decoder.decode(chunk, { stream: true });
      for (let at = pending.indexOf(separator); at >= 0; at = pending.indexOf(separator)) {
        yield* piece(pending.slice(0, at));
        pending = pending.slice(at + separator.length - 1);
        first = true;
      }
      if (pending.length > PIECE) {
        const cut = safeCut(pending, pending.length - separator.length);
        if (cut > 1) {
          yield* piece(pending.slice(0, cut));
          pending = pending.slice(cut);
        }
      }
    }
  } catch (cause) {
    throw new DataError({ op: `reading ${path}`, got: (cause as Error).message, cause });
  }
  pending += decoder.decode();
  if (!pending.endsWith("\n")) pending += "\n";
  if (pending.endsWith(separator)) pending = pending.slice(0, -separator.length);
  yield* piece(pending.endsWith("\n") ? pending.slice(0, -1) : pending);
}

/** The last place before `from` where a letter or digit is followed by a space or line feed, or -1. */
function safeCut(text: string, from: number): number {
  for (let i = from; i > 0; i--) {
    const c = text.charCodeAt(i);
    if ((c === 0x20 || c === 0x0a) && text.charCodeAt(i - 1) > 0x20 && text.charCodeAt(i - 1) < 0x7f) return i;
  }
  return -1;
}

/** The file's bytes, decompressed if it starts as gzip does. */
async function openText(path: string, onBytes?: (bytes: number) => void): Promise<AsyncIterable<Uint8Array>> {
  const file = await open(path);
  const magic = new Uint8Array(2);
  await file.read(magic, 0, 2, 0);
  const raw = file.createReadStream({ start: 0, highWaterMark: 1 << 18 });
  if (onBytes !== undefined) raw.on("data", (chunk) => onBytes(chunk.length));
  if (magic[0] !== 0x1f || magic[1] !== 0x8b) return raw as AsyncIterable<Buffer>;
  const gunzip = createGunzip({ chunkSize: 1 << 18 });
  // An error of either ends the iteration over gunzip, which throws it.
  pipeline(raw, gunzip, () => {});
  return gunzip as AsyncIterable<Buffer>;
}
