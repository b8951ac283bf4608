import { CheckpointError } from "../errors.js";
import { findDuplicateKey } from "../util/duplicate-key.js";
import { quote } from "../util/quote.js";
import type { ByteSource } from "./byte-source.js";

export type JsonObject = { readonly [key: string]: unknown };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Parses UTF-8 JSON whose top level is an object and in which no object repeats a key. (JSON.parse silently keeps the last of
 * two equal keys, so that two readers can see two different files.)
 *
 * @param op the action, for errors: `reading model.safetensors: header`.
 * @throws {CheckpointError} not UTF-8, not JSON, not an object, or a repeated key.
 */
export function parseJsonObject(bytes: Uint8Array, op: string): JsonObject {
  return parseObject(decodeUtf8(bytes, op), op);
}

function parseObject(text: string, op: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = quote((cause as Error).message).slice(1, -1);
    throw new CheckpointError({ op, expected: "JSON", got: `text that is not JSON (${reason})`, cause });
  }
  if (!isJsonObject(value)) throw new CheckpointError({ op, expected: "a JSON object", got: quote(value) });
  const repeated = findDuplicateKey(text);
  if (repeated !== undefined) {
    throw new CheckpointError({ op, expected: "each key once", got: `the key ${quote(repeated)} twice` });
  }
  return value;
}

/** The maximum length of JSON: the limit of a safetensors header in the reference implementation. */
export const MAX_JSON_BYTES = 100_000_000;

/** Matches strings, which stay, and the numbers that Python's json module writes but JSON lacks. */
const STRING_OR_NOT_FINITE = /"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN/gs;

/**
 * Parses a file that a Python program wrote: NaN and infinities are read as text, so that a field with one of them
 * is refused where a number is used, and does no harm elsewhere.
 */
export function parsePythonJson(bytes: Uint8Array, op: string): JsonObject {
  const text = decodeUtf8(bytes, op);
  return parseObject(
    text.replace(STRING_OR_NOT_FINITE, (match) => (match.startsWith('"') ? match : `"${match}"`)),
    op,
  );
}

/** Reads a JSON file that a Python program may have written. @throws {CheckpointError} see {@link parseJsonObject}. */
export function readJsonSource(source: ByteSource): JsonObject {
  const op = `reading ${source.name}`;
  if (source.size > MAX_JSON_BYTES) {
    throw new CheckpointError({ op, expected: `at most ${MAX_JSON_BYTES} bytes of JSON`, got: `${source.size}` });
  }
  if (source.size === 0) throw new CheckpointError({ op, expected: "JSON", got: "an empty file" });
  return parsePythonJson(source.bytes(0, source.size), op);
}

function decodeUtf8(bytes: Uint8Array, op: string): string {
  try {
    // Copied, because decoders refuse views of shared memory.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.slice());
  } catch (cause) {
    throw new CheckpointError({ op, expected: "JSON in UTF-8", got: "bytes that are not UTF-8", cause });
  }
}
