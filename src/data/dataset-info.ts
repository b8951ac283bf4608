/** `dataset.json`, which `gpt2 data` writes beside the shards. */
import { join } from "node:path";
import { type InfoFile, readInfo, SOURCES_RECORD, TOKENIZER_RECORD, type TokenizerRecord } from "./read-info.js";

export const DATASET_INFO_FILE = "dataset.json";
export const DATASET_TOKENIZER_FILE = "tokenizer.json";

export interface SplitInfo {
  /** Names of the shards, in order. */
  readonly shards: readonly string[];
  readonly documents: number;
  /** Includes one `<|endoftext|>` before each document. */
  readonly tokens: number;
  /** UTF-8 bytes of the tokens' text, without separators: the divisor of bits per byte. */
  readonly bytes: number;
}

export interface DatasetInfo {
  readonly format: "gpt2-ts dataset";
  readonly version: 1;
  readonly tokenizer: TokenizerRecord;
  readonly splits: { readonly train: SplitInfo; readonly val?: SplitInfo };
  /** One entry for each input. */
  readonly sources: readonly SourceInfo[];
  readonly settings: {
    readonly valFraction: number;
    /** The choice of held-out text. */
    readonly heldOut: "none" | "files" | "documents" | "tail";
    readonly seed: number;
    readonly shardTokens: number;
    readonly textField: string;
    /** Null for lines `<|endoftext|>`. */
    readonly separator: string | null;
  };
  /** Invalid UTF-8 sequences replaced by U+FFFD. */
  readonly replaced: number;
  /** Documents of white space only, left out. */
  readonly empty: number;
  /** Files in folders that were skipped because of their names. */
  readonly skippedFiles: number;
}

export interface SourceInfo {
  /** Path of the file or folder, as given. */
  readonly input: string;
  /** Whether it was given as held-out text. */
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
 * @returns undefined if the folder has none (shards of other programs)
 * @throws {DataError} it is malformed
 */
export const readDatasetInfo = (folder: string): DatasetInfo | undefined =>
  readInfo<DatasetInfo>(join(folder, DATASET_INFO_FILE), INFO);
