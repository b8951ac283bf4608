/** `dataset.json`: what `gpt2 data` writes beside the shards. */
import { join } from "node:path";
import { type InfoFile, readInfo, SOURCES_RECORD, TOKENIZER_RECORD, type TokenizerRecord } from "./read-info.js";

export const DATASET_INFO_FILE = "dataset.json";
export const DATASET_TOKENIZER_FILE = "tokenizer.json";

export interface SplitInfo {
  /** Names of the shards, in order. */
  readonly shards: readonly string[];
  readonly documents: number;
  /** With one `<|endoftext|>` before each document. */
  readonly tokens: number;
  /** UTF-8 bytes of the text that the tokens stand for, without separators: the divisor of bits per byte. */
  readonly bytes: number;
}

export interface DatasetInfo {
  readonly format: "gpt2-ts dataset";
  readonly version: 1;
  readonly tokenizer: TokenizerRecord;
  readonly splits: { readonly train: SplitInfo; readonly val?: SplitInfo };
  /** One entry an input. */
  readonly sources: readonly SourceInfo[];
  readonly settings: {
    readonly valFraction: number;
    /** How the held-out part was chosen. */
    readonly heldOut: "none" | "files" | "documents" | "tail";
    readonly seed: number;
    readonly shardTokens: number;
    readonly textField: string;
    /** Null: lines that are `<|endoftext|>`. */
    readonly separator: string | null;
  };
  /** Invalid UTF-8 sequences replaced by U+FFFD. */
  readonly replaced: number;
  /** Documents of white space only, left out. */
  readonly empty: number;
  /** Files in folders that were not read, their names being of no kind known. */
  readonly skippedFiles: number;
}

export interface SourceInfo {
  /** The file or folder as it was named. */
  readonly input: string;
  /** Given as held-out text. */
  readonly heldOut: boolean;
  readonly files: number;
  readonly documents: number;
  readonly bytes: number;
}

const SPLIT = { fields: { shards: { list: "string" }, documents: "count", tokens: "count", bytes: "count" } } as const;

const INFO: InfoFile = {
  format: "gpt2-ts dataset",
  shape: {
    fields: {
      tokenizer: TOKENIZER_RECORD,
      splits: { fields: { train: SPLIT, val: { optional: SPLIT } } },
      sources: SOURCES_RECORD,
    },
  },
  hint: "Recreate the data set with `gpt2 data`",
};

/**
 * Reads a data set's dataset.json.
 *
 * @returns undefined if the folder has none (shards from elsewhere)
 * @throws {DataError} it is not one of ours
 */
export const readDatasetInfo = (folder: string): DatasetInfo | undefined =>
  readInfo<DatasetInfo>(join(folder, DATASET_INFO_FILE), INFO);
