import { closeSync, openSync, readSync } from "node:fs";
import { DataError } from "../errors.js";
import { type ErrorClass, readFailure, readHint } from "../util/file-errors.js";
import { concatBytes, textBytes } from "./text.js";

/** A file of settings, results or keys that is read as a whole. It may be a pipe (a shell's `<(…)`). */
export interface SmallFile {
  /** The operation in messages. Default `reading PATH`. */
  readonly op?: string;
  /** The expected content: "a calibration made by gpt2 detect". */
  readonly expected: string;
  readonly hint?: string | undefined;
  readonly errorClass?: ErrorClass;
}

/** Endless devices and large files of other kinds are not read to their end. */
const MOST_BYTES = 2 ** 28;
const CHUNK_BYTES = 2 ** 16;

/**
 * The text of a small file: UTF-8, without its byte order mark.
 *
 * @throws an error of `errorClass` (by default {@link DataError}): it can't be read, or is not a text; the message says what it
 *   is, such as a pointer of Git LFS.
 */
export function readSmallText(path: string, file: SmallFile): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(textBytes(readBytes(path), path));
  } catch (cause) {
    // Not a text.
    if (cause instanceof DataError)
      throw failure(path, file, cause.details.got ?? cause.message, cause, cause.details.hint);
    throw failure(path, file, cause instanceof TypeError ? "a text that is not UTF-8" : readFailure(cause), cause);
  }
}

/**
 * The value in a small file of JSON.
 *
 * @param reviver as JSON.parse's
 * @throws as {@link readSmallText}, and if the text is not JSON.
 */
export function readSmallJson(
  path: string,
  file: SmallFile,
  reviver?: (key: string, value: unknown) => unknown,
): unknown {
  const text = readSmallText(path, file);
  try {
    return JSON.parse(text, reviver);
  } catch (cause) {
    const got = text.trim() === "" ? "an empty file" : `no JSON: ${jsonFailure(cause)}`;
    throw failure(path, file, got, cause);
  }
}

/** Why a text is not JSON. Deep nesting overflows the parser's stack. */
function jsonFailure(cause: unknown): string {
  return cause instanceof RangeError ? "nested too deeply" : (cause as Error).message;
}

function readBytes(path: string): Uint8Array {
  const fd = openSync(path, "r");
  try {
    const chunks: Uint8Array[] = [];
    for (let size = 0; ; ) {
      const chunk = new Uint8Array(CHUNK_BYTES);
      const got = readSync(fd, chunk);
      if (got === 0) return concatBytes(chunks, size);
      size += got;
      if (size > MOST_BYTES) throw new Error(`more than ${MOST_BYTES} bytes`);
      chunks.push(chunk.subarray(0, got));
    }
  } finally {
    closeSync(fd);
  }
}

function failure(
  path: string,
  file: SmallFile,
  got: string,
  cause: unknown,
  hint = file.hint ?? readHint(cause),
): Error {
  const { op = `reading ${path}`, expected, errorClass = DataError } = file;
  return new errorClass({ op, expected, got, ...(hint !== undefined && { hint }), cause });
}
