/** Finding and opening data sets on disk. */

import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DataError } from "../errors.js";
import { readError } from "../util/file-errors.js";
import { checkOptionNames } from "../util/nearest.js";
import { type DatasetOptions, type Split, TokenDataset } from "./dataset.js";
import { DATASET_INFO_FILE, readDatasetInfo } from "./dataset-info.js";
import { ShardFile } from "./shard-file.js";

/**
 * Opens a shard, a pattern of shards or a folder as one data set. Close it when done.
 *
 * @param path a `.bin` file, a pattern with `*` and `?` in its last part, or a folder
 * @throws {DataError} the path does not exist, or a shard is damaged
 */
export function openDataset(path: string, options: DatasetOptions & { readonly split?: Split } = {}): TokenDataset {
  checkOptionNames("opening a data set", options, { split: true, vocabSize: true });
  const split = options.split ?? "train";
  const paths = findShards(path, split);
  if (paths.length === 0) {
    throw new DataError({
      op: `opening data set ${path}`,
      expected: `token shards (${split}-00000.bin, …)`,
      got: "none",
      hint: "Make them with `gpt2 data INPUTS… --out DIR`",
    });
  }
  const files: ShardFile[] = [];
  try {
    for (const file of paths) files.push(new ShardFile(file));
    const data = new TokenDataset(files, options);
    const expected = readDatasetInfo(path)?.splits[split];
    if (expected !== undefined && expected.tokens !== data.totalTokens) {
      throw new DataError({
        op: `opening data set ${path}`,
        expected: `${expected.tokens} tokens in ${expected.shards.length} ${split} shards, as ${DATASET_INFO_FILE} says`,
        got: `${data.totalTokens} in ${files.length}`,
        hint: "Shards are missing, or belong to another data set; recreate it with `gpt2 data`",
      });
    }
    return data;
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

/**
 * The shards at `path`, sorted by name. In a folder, those of one split: `train-00000.bin`, or names like llm.c's
 * `tiny_shakespeare_train.bin`, `fineweb_val_000001.bin`.
 *
 * @throws {DataError} the path does not exist
 */
export function findShards(path: string, split: Split): string[] {
  const name = basename(path);
  if (/[*?]/.test(name)) {
    const pattern = new RegExp(
      `^${name
        .replace(/[.+^${}()|[\]\\]/g, "\\$&")
        .replace(/\*/g, ".*")
        .replace(/\?/g, ".")}$`,
    );
    return list(dirname(path)).filter((file) => pattern.test(basename(file)));
  }
  if (!isFolder(path)) return [path];
  const pattern = new RegExp(`(^|[^a-z])${split}([^a-z].*)?\\.bin$`, "i");
  return list(path).filter((file) => pattern.test(basename(file)));
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw missing(path, cause);
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
      .sort()
      .map((file) => join(folder, file));
  } catch (cause) {
    throw missing(folder, cause);
  }
}

function missing(path: string, cause: unknown): DataError {
  return readError(cause, `opening data set ${path}`, "a folder of gpt2 data or a token shard", DataError);
}
