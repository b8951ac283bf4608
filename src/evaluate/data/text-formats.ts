import { type JsonLine, type JsonRecord, jsonLines as linesOf } from "../../data/json-lines.js";
import { textBytes } from "../../data/text.js";
import { DataError } from "../../errors.js";
import type { DataFile } from "./source.js";

/** The text of a file in UTF-8. @throws {DataError} it is not UTF-8, or no text. */
export function textOf({ bytes, path }: Pick<DataFile, "bytes" | "path">): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(textBytes(bytes, path));
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError({ op: `reading ${path}`, expected: "text in UTF-8", got: "bytes that are not", cause });
  }
}

/** The objects of JSON lines; blank lines are skipped. @throws {DataError} a line that is no object, with its number. */
export function jsonLines(file: Pick<DataFile, "bytes" | "path">): JsonRecord[] {
  return numberedLines(file).map(({ record }) => record);
}

/** {@link jsonLines} with their places, for messages about their fields. */
export function numberedLines(file: Pick<DataFile, "bytes" | "path">): JsonLine[] {
  // Refuses bytes that are not UTF-8.
  textOf(file);
  return [...linesOf(textBytes(file.bytes, file.path), file.path)];
}

export function recordOf(value: unknown, place: string): JsonRecord {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonRecord;
  throw new DataError({ op: place, expected: "a JSON object", got: kind(value) });
}

/** A field that has to be a string. */
export function stringField(record: JsonRecord, field: string, place: string): string {
  const value = record[field];
  if (typeof value === "string") return value;
  throw new DataError({ op: `${place}: ${field}`, expected: "a string", got: kind(value) });
}

/** A field that has to be a list of strings. */
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

/** A segment of WMT's SGML: `document/number`, and its text. */
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
