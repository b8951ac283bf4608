/** JSON lines (JSONL, NDJSON): one JSON object on each line. Line breaks are LF or CR LF. Blank lines are skipped. */
import { DataError } from "../errors.js";

export type JsonRecord = { readonly [field: string]: unknown };

export interface JsonLine {
  readonly record: JsonRecord;
  /** For messages: `chats.jsonl, line 3`. */
  readonly where: string;
}

/** A non-blank line in UTF-8, without its line feed. */
export interface Line {
  readonly bytes: Uint8Array;
  readonly where: string;
}

/**
 * @param name the file's, for messages
 * @param first number of the first line
 */
export function* linesOf(bytes: Uint8Array, name: string, first = 1): Generator<Line, void, undefined> {
  let number = first;
  for (let start = 0; start < bytes.length; number++) {
    const found = bytes.indexOf(LINE_FEED, start);
    const end = found < 0 ? bytes.length : found;
    const line = bytes.subarray(start, end);
    start = end + 1;
    if (!isBlank(line)) yield { bytes: line, where: `${name}, line ${number}` };
  }
}

/** The objects of whole lines, as {@link linesOf}. @throws {DataError} a line is not a JSON object; names file and line */
export function* jsonLines(bytes: Uint8Array, name: string, first = 1): Generator<JsonLine, void, undefined> {
  const decoder = new TextDecoder();
  for (const line of linesOf(bytes, name, first)) {
    yield { record: parseRecord(decoder.decode(line.bytes), line.where), where: line.where };
  }
}

/** @param where for the message. @throws {DataError} it is not a JSON object. */
export function parseRecord(json: string, where: string): JsonRecord {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    const hint = "JSONL holds one JSON object per line";
    const got = (cause as Error).message;
    throw new DataError({ op: `reading ${where}`, expected: "a JSON object", got, hint, cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonRecord;
  const got = value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
  throw new DataError({ op: `reading ${where}`, expected: "a JSON object", got });
}

/** A text field. @throws {DataError} it is missing, or not a text. */
export function textField({ record, where }: JsonLine, field: string, hint?: string): string {
  const value = Object.hasOwn(record, field) ? record[field] : undefined;
  if (typeof value === "string") return value;
  const got = value === undefined ? fieldsOf(record) : value === null ? "null" : `a ${typeof value}`;
  const expected = `an object with a text in "${field}"`;
  throw new DataError({ op: `reading ${where}`, expected, got, ...(hint !== undefined && { hint }) });
}

/** The names of an object's fields, for messages. */
export function fieldsOf(record: JsonRecord): string {
  const names = Object.keys(record);
  return names.length === 0 ? "an object without fields" : `the fields ${names.join(", ")}`;
}

const LINE_FEED = 0x0a;

/** Whether there is only ASCII white space. */
export function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d));
}
