import { CheckpointError } from "../errors.js";
import { quote } from "./quote.js";

export type JsonObject = { readonly [key: string]: unknown };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Parses UTF-8 JSON whose top level is an object and in which no object repeats a key. (JSON.parse keeps the last of
 * two equal keys silently, so that two readers can see two different files.)
 *
 * @param op what is being read, for errors: `reading model.safetensors: header`.
 * @throws {CheckpointError} not UTF-8, not JSON, not an object, or a repeated key.
 */
export function parseJsonObject(bytes: Uint8Array, op: string): JsonObject {
  const text = decodeUtf8(bytes, op);
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

function decodeUtf8(bytes: Uint8Array, op: string): string {
  try {
    // Copied, because decoders refuse views of shared memory.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.slice());
  } catch (cause) {
    throw new CheckpointError({ op, expected: "JSON in UTF-8", got: "bytes that are not UTF-8", cause });
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/** The first key that an object of `text` repeats. `text` must be valid JSON: only then is this short walk right. */
function findDuplicateKey(text: string): string | undefined {
  // One set of keys per open object, undefined per open list: a stack of our own, because files can nest deeply.
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === OPEN_OBJECT) open.push(new Set());
    else if (c === OPEN_LIST) open.push(undefined);
    else if (c === CLOSE_OBJECT || c === CLOSE_LIST) open.pop();
    else if (c === QUOTE) {
      const start = i;
      i = endOfString(text, start);
      if (!isFollowedByColon(text, i + 1)) continue;
      const raw = text.slice(start, i + 1);
      const key = raw.includes("\\") ? (JSON.parse(raw) as string) : raw.slice(1, -1);
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** Position of the quotation mark that ends the string which starts at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  for (let c = text.charCodeAt(i); c !== QUOTE; c = text.charCodeAt(i)) i += c === BACKSLASH ? 2 : 1;
  return i;
}

function isFollowedByColon(text: string, from: number): boolean {
  let i = from;
  // JSON's white space: space, tab, line feed, carriage return, all at or below U+0020.
  while (text.charCodeAt(i) <= 0x20) i++;
  return text.charCodeAt(i) === COLON;
}
