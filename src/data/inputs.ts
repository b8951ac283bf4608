/** Resolves the inputs of commands to files, formats and compressions. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DataError, UsageError } from "../errors.js";
import { readError } from "../util/file-errors.js";

export type TextFormat = "text" | "jsonl";
export type Compression = "none" | "gzip" | "zstd";

/** An input and its copy, which is read instead: see {@link withCopies}. */
export interface CopiedInput {
  readonly path: string;
  readonly copy: string;
}

/** A file or folder to read. */
export type Input = string | CopiedInput;

/** Name of an input in messages and descriptions. */
export const nameOf = (input: Input): string => (typeof input === "string" ? input : input.path);

/** The names of inputs, for messages. */
export const namesOf = (inputs: readonly Input[]): string => inputs.map(nameOf).join(", ");

export interface InputFile {
  readonly path: string;
  /** The path that is read instead. */
  readonly copy?: string | undefined;
  /** Index of the argument it came from. */
  readonly input: number;
  /** Bytes on disk. */
  readonly size: number;
  readonly format: TextFormat;
  /** Whether it is one JSON value instead of lines. */
  readonly whole?: true | undefined;
  /** By its name; undefined where the first bytes are to tell. */
  readonly compression: Compression | undefined;
}

export interface InputList {
  readonly files: readonly InputFile[];
  /** Number of files in folders that were skipped because of their names. */
  readonly skipped: number;
}

const FORMATS: Readonly<Record<string, TextFormat>> = {
  txt: "text",
  text: "text",
  md: "text",
  markdown: "text",
  jsonl: "jsonl",
  ndjson: "jsonl",
};

const COMPRESSIONS: Readonly<Record<string, Compression>> = { gz: "gzip", gzip: "gzip", zst: "zstd", zstd: "zstd" };

/** Names of the files that are read from folders, for messages. */
export const INPUT_KINDS = ".txt, .md, .jsonl, each also .gz or .zst";

export interface ListOptions {
  /** Read .json files too, whole; they are otherwise refused. */
  readonly json?: boolean | undefined;
}

/**
 * The files of the arguments, in order. A folder stands for its readable files, recursively, sorted by name, without hidden files
 * and folders. A file given directly is read whatever its name, as text unless the name says JSONL.
 *
 * @throws {DataError} an argument does not exist
 */
export function listInputs(inputs: readonly Input[], { json = false }: ListOptions = {}): InputList {
  const files: InputFile[] = [];
  let skipped = 0;
  const visit = (path: string, input: number) => {
    // Sorted by code units, the same on every machine.
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith(".")) continue;
      const child = join(path, entry.name);
      // Links to files are followed, links to folders are not: they may lead back up.
      if (entry.isDirectory()) visit(child, input);
      else if (kindOf(entry.name).format !== undefined && statSync(child).isFile())
        files.push(describe(child, input, json));
      else skipped++;
    }
  };
  inputs.forEach((given, input) => {
    const path = nameOf(given);
    try {
      if (typeof given !== "string") files.push(describe(path, input, json, given.copy));
      else if (statSync(path).isDirectory()) visit(path, input);
      else files.push(describe(path, input, json));
    } catch (cause) {
      if (cause instanceof UsageError) throw cause;
      throw readError(cause, `reading ${path}`, "a file or folder of text", DataError);
    }
  });
  return { files, skipped };
}

function kindOf(name: string): { format: TextFormat | undefined; compression: Compression | undefined; json: boolean } {
  const parts = name.toLowerCase().split(".");
  const compression = COMPRESSIONS[parts.at(-1)!];
  const extension = (compression === undefined ? parts.at(-1) : parts.at(-2)) ?? "";
  return { format: FORMATS[extension], compression, json: extension === "json" };
}

function describe(path: string, input: number, allowJson: boolean, copy?: string): InputFile {
  const { format, compression, json } = kindOf(path);
  if (json && !allowJson) {
    throw new UsageError({
      op: `reading ${path}`,
      expected: "text, or JSONL with one object per line",
      got: "a JSON file",
      hint: "Turn a list of documents into lines first, for example with `jq -c '.[]'`",
    });
  }
  return {
    path,
    input,
    ...(copy !== undefined && { copy }),
    size: statSync(copy ?? path).size,
    format: format ?? (json ? "jsonl" : "text"),
    ...(json && { whole: true as const }),
    compression,
  };
}

/** By a file's name; undefined if that does not tell. */
export function compressionOf(path: string): Compression | undefined {
  return kindOf(path).compression;
}
