import { DataError } from "../errors.js";
import { mismatch, type Shape } from "../util/json-shape.js";
import { readSmallJson } from "./small-file.js";

/** The tokenizer of a folder of data. */
export interface TokenizerRecord {
  /** `gpt2`, or the file it was read from. */
  readonly name: string;
  /** Hash of the tokenizer.json beside this file. The same tokenizer gives the same hash. */
  readonly sha256: string;
  readonly vocabSize: number;
  readonly endOfText: number;
}

export const TOKENIZER_RECORD = {
  fields: { name: "string", sha256: "string", vocabSize: "count", endOfText: "count" },
} as const;

/** The sources of a folder of data. */
export const SOURCES_RECORD = { list: { fields: { input: "string", heldOut: "boolean" } } } as const;

/** A JSON file that describes a folder of data. */
export interface InfoFile {
  /** `gpt2-ts dataset`, the value of its field `format`; its version is 1. */
  readonly format: string;
  readonly shape: { readonly fields: Readonly<Record<string, Shape>> };
  /** How to repair it. */
  readonly hint: string;
}

/**
 * Reads such a file, and checks every field.
 *
 * @returns undefined if there is none
 * @throws {DataError} it can't be read, or is malformed
 */
export function readInfo<T>(path: string, { format, shape, hint }: InfoFile): T | undefined {
  const op = `reading ${path}`;
  let value: unknown;
  try {
    value = readSmallJson(path, { expected: `${format}, version 1`, hint });
  } catch (error) {
    const { code } = (error as DataError).cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
  const head = { format: { oneOf: [format] }, version: { oneOf: [1] } } as const;
  const wrong = mismatch(value, { fields: head }) ?? mismatch(value, shape);
  if (wrong === undefined) return value as T;
  const field = wrong.path === "" ? "" : `: ${wrong.path}`;
  throw new DataError({ op: `${op}${field}`, expected: wrong.expected, got: wrong.got, hint });
}
