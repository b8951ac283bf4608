import { DataError } from "../../errors.js";
import { withoutByteOrderMark } from "../../util/text.js";
import type { DataFile } from "./source.js";

/** The text of a file, without a byte-order mark. @throws {DataError} it is not UTF-8. */
export function textOf({ bytes, path }: Pick<DataFile, "bytes" | "path">): string {
  const text = withoutByteOrderMark(bytes, path, DataError);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text);
  } catch (cause) {
    throw new DataError({ op: `reading ${path}`, expected: "text in UTF-8", got: "bytes that are not", cause });
  }
}

export type JsonRecord = Readonly<Record<string, unknown>>;

/** One object a line; blank lines do not count. @throws {DataError} with the number of a line that is none. */
export function jsonLines(file: Pick<DataFile, "bytes" | "path">): JsonRecord[] {
  return textOf(file)
    .split("\n")
    .flatMap((line, i) => (line.trim() === "" ? [] : [parseRecord(line, `${file.path}, line ${i + 1}`)]));
}

/** @param place for the message. */
export function parseRecord(json: string, place: string): JsonRecord {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new DataError({ op: place, expected: "a JSON object", got: (cause as Error).message, cause });
  }
  return recordOf(value, place);
}

export function recordOf(value: unknown, place: string): JsonRecord {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonRecord;
  throw new DataError({ op: place, expected: "a JSON object", got: kind(value) });
}

/** A field that must be text. */
export function stringField(record: JsonRecord, field: string, place: string): string {
  const value = record[field];
  if (typeof value === "string") return value;
  throw new DataError({ op: `${place}: ${field}`, expected: "a string", got: kind(value) });
}

/** A field that must be a list of texts. */
export function stringsField(record: JsonRecord, field: string, place: string): string[] {
  return listField(record, field, place).map((value) => {
    if (typeof value === "string") return value;
    throw new DataError({ op: `${place}: ${field}`, expected: "strings", got: kind(value) });
  });
}

export function listField(record: JsonRecord, field: string, place: string): readonly unknown[] {
  const value = record[field];
  if (Array.isArray(value)) return value;
  throw new DataError({ op: `${place}: ${field}`, expected: "a list", got: kind(value) });
}

export function kind(value: unknown): string {
  if (value === undefined) return "nothing";
  return value === null || typeof value !== "object"
    ? JSON.stringify(value)
    : Array.isArray(value)
      ? "a list"
      : "an object";
}

/** A segment of WMT's SGML: its document, its number in it, and its text. */
export interface SgmlSegment {
  readonly id: string;
  readonly text: string;
}

/** The segments of an SGML file of WMT's (`<doc docid="…">`, `<seg id="…">…</seg>`). */
export function sgmlSegments(file: Pick<DataFile, "bytes" | "path">): SgmlSegment[] {
  const segments: SgmlSegment[] = [];
  let document = "";
  for (const match of textOf(file).matchAll(/<doc\b[^>]*docid="([^"]*)"|<seg\s+id="([^"]*)">(.*?)<\/seg>/gis)) {
    const [, docid, number, text] = match;
    if (docid !== undefined) document = docid;
    else segments.push({ id: `${document}/${number}`, text: unescapeEntities(text!.trim()) });
  }
  if (segments.length > 0) return segments;
  throw new DataError({ op: `reading ${file.path}`, expected: "SGML with <seg> elements", got: "none" });
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** XML's five named entities. */
export function unescapeEntities(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name]!);
}
