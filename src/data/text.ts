/**
 * Defines which input counts as text: UTF-8, with or without a byte order mark, which is removed. UTF-16, binary files, web pages
 * and the pointer files of Git LFS and git-annex are refused by name.
 */
import { DataError } from "../errors.js";
import { standIn } from "../util/stand-in.js";

/** Number of leading bytes to inspect. As in Git, a zero byte among them makes a file binary. */
const SNIFFED = 8000;

const HINTS = {
  utf16: "Convert it first, for example with `iconv -t UTF-8`",
  binary: "Extract its text first",
  compressed: "Decompress it first",
} as const;

/** First bytes, in Latin-1, of files that are not text. */
const MAGIC: readonly (readonly [start: string, kind: string, hint?: string])[] = [
  ["\xff\xfe\0\0", "UTF-32 text", HINTS.utf16],
  ["\0\0\xfe\xff", "UTF-32 text", HINTS.utf16],
  ["\xff\xfe", "UTF-16 text", HINTS.utf16],
  ["\xfe\xff", "UTF-16 text", HINTS.utf16],
  ["GGUF", "a GGUF model", HINTS.binary],
  ["%PDF-", "a PDF", HINTS.binary],
  ["PAR1", "a Parquet file", HINTS.binary],
  ["PK\x03\x04", "a zip archive", HINTS.compressed],
  ["\x1f\x8b", "gzip data", HINTS.compressed],
  ["\x28\xb5\x2f\xfd", "zstd data", HINTS.compressed],
  ["\xfd7zXZ", "xz data", HINTS.compressed],
];

/** bzip2's magic is letters; the digits of pi begin its first block (those of the root of pi an empty file's end). */
const BZIP2 = /^BZh[1-9](?:1AY&SY|.rE8P)/s;

/** The kind of a file that is not text, by its first bytes; undefined for text. */
export function notText(start: Uint8Array): { readonly kind: string; readonly hint: string } | undefined {
  const bytes = withoutMark(start).subarray(0, SNIFFED);
  const latin1 = Array.from(bytes.subarray(0, 512), (byte) => String.fromCharCode(byte)).join("");
  const pointer = standIn(bytes);
  if (pointer) return pointer;
  const [, kind, hint = HINTS.binary] = MAGIC.find(([magic]) => latin1.startsWith(magic)) ?? [];
  if (kind !== undefined) return { kind, hint };
  if (BZIP2.test(latin1)) return { kind: "bzip2 data", hint: HINTS.compressed };
  return bytes.includes(0) ? { kind: "binary data", hint: HINTS.binary } : undefined;
}

/**
 * The UTF-8 of a text, without its byte order mark. Sequences that are not UTF-8 stay.
 *
 * @param name for the message
 * @throws {DataError} it is not text; the message says what it is
 */
export function textBytes(bytes: Uint8Array, name: string): Uint8Array {
  checkText(bytes, name);
  return withoutMark(bytes);
}

/** {@link textBytes} for bytes that arrive in pieces. */
export async function* textChunks(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  let start: Uint8Array[] | undefined = [];
  let size = 0;
  for await (const chunk of chunks) {
    if (start === undefined) {
      yield chunk;
      continue;
    }
    start.push(chunk);
    size += chunk.length;
    if (size < SNIFFED) continue;
    yield textBytes(start.length === 1 ? chunk : concatBytes(start, size), name);
    start = undefined;
  }
  if (start !== undefined && size > 0) yield textBytes(concatBytes(start, size), name);
}

/** @throws {DataError} these are not the first bytes of a text. */
function checkText(start: Uint8Array, name: string): void {
  const found = notText(start);
  if (found === undefined) return;
  throw new DataError({ op: `reading ${name}`, expected: "UTF-8 text", got: found.kind, hint: found.hint });
}

function withoutMark(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

/** Joins parts. The result is not a Buffer: small Buffers share memory, which cannot be transferred to a worker. */
export function concatBytes(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
