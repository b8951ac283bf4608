import { join } from "node:path";
import type { TokenizerRecord } from "../../data/read-info.js";
import { readSmallText } from "../../data/small-file.js";
import { DataError } from "../../errors.js";

/**
 * A token index on disk is a folder:
 *
 *     index.json      {@link IndexInfo}
 *     tokenizer.json  the tokenizer of the corpus
 *     tokens.bin      [tokens] uint16: the corpus, one `<|endoftext|>` before each document
 *     suffixes.bin    [tokens] uint32: its suffix array
 *     documents.bin   [documents] uint32: position of each document's `<|endoftext|>`
 *
 * All numbers are little-endian.
 */
export const INDEX_FILES = {
  info: "index.json",
  tokenizer: "tokenizer.json",
  tokens: "tokens.bin",
  suffixes: "suffixes.bin",
  documents: "documents.bin",
} as const;

const FORMAT = "gpt2-ts token index";

export interface IndexedFile {
  /** Its path as it was given. */
  readonly path: string;
  readonly documents: number;
  readonly tokens: number;
}

export interface IndexInfo {
  readonly format: typeof FORMAT;
  readonly version: 1;
  readonly tokenizer: TokenizerRecord;
  readonly tokens: number;
  readonly documents: number;
  /** UTF-8 bytes of text. */
  readonly bytes: number;
  /** Files in the order of their documents. */
  readonly files: readonly IndexedFile[];
}

export const newIndexInfo = (fields: Omit<IndexInfo, "format" | "version">): IndexInfo => ({
  format: FORMAT,
  version: 1,
  ...fields,
});

/** @throws {DataError} there is no index, or it is damaged or of another version. */
export function readIndexInfo(folder: string): IndexInfo {
  const path = join(folder, INDEX_FILES.info);
  const hint = "Make one with `gpt2 index FILES --out DIR`";
  const text = readSmallText(path, { op: `opening index ${folder}`, expected: path, hint });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Reported below, like any other content.
  }
  if (isInfo(value)) return value;
  throw new DataError({ op: `reading ${path}`, expected: `a ${FORMAT}, version 1`, got: text.slice(0, 80) });
}

function isInfo(value: unknown): value is IndexInfo {
  const info = value as Partial<IndexInfo> | null | undefined;
  if (info?.format !== FORMAT || info.version !== 1 || !Array.isArray(info.files)) return false;
  const { tokens, documents, tokenizer, files } = info;
  const sizes = [tokens, documents, tokenizer?.vocabSize, tokenizer?.endOfText];
  if (!sizes.every(isCount) || files.length === 0) return false;
  const documentsOfFiles = files.reduce(
    (sum, file) => sum + (isCount(file?.documents) ? file.documents : Number.NaN),
    0,
  );
  return documentsOfFiles === documents && files.every((file) => typeof file.path === "string");
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
