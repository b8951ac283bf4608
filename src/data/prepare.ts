import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DataError, UsageError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { writeTokenizerJson } from "../tokenizer/tokenizer-json.js";
import { writeFolderAtomically, writeNewFile } from "../util/atomic-write.js";
import { readError } from "../util/file-errors.js";
import { checkOptionNames } from "../util/nearest.js";
import { checkWorkers, defaultWorkers } from "../util/worker-count.js";
import type { Destination } from "./batch.js";
import { DATASET_INFO_FILE, DATASET_TOKENIZER_FILE, type DatasetInfo } from "./dataset-info.js";
import { DatasetWriter } from "./dataset-writer.js";
import { encodePool } from "./encode-pool.js";
import { INPUT_KINDS, type Input, type InputFile, listInputs, namesOf } from "./inputs.js";
import { makeBatches } from "./make-batches.js";
import { checkShardVocab, SHARD_MAX_TOKENS } from "./shard.js";

export interface PrepareOptions {
  /** Output folder. */
  readonly out: string;
  readonly tokenizer: Tokenizer;
  /** The tokenizer's name in dataset.json. Default "custom". */
  readonly tokenizerName?: string | undefined;
  /** Share of the documents to hold out, chosen by a hash of their text. Default 0.01. */
  readonly valFraction?: number | undefined;
  /** Files and folders to hold out instead. */
  readonly valInputs?: readonly string[] | undefined;
  /** Tokens per shard. Default 100 million (200 MB). */
  readonly shardTokens?: number | undefined;
  /** Number of worker threads; 0 encodes on this thread. Default: by cores and size. The output does not depend on it. */
  readonly workers?: number | undefined;
  /** Field of JSONL objects that holds the text. Default "text". */
  readonly textField?: string | undefined;
  /** Separator of documents in text files. Default: lines `<|endoftext|>`. */
  readonly separator?: string | undefined;
  /** Seed for choosing held-out documents. Default 1337. */
  readonly seed?: number | undefined;
  /** Replace an existing data set. */
  readonly overwrite?: boolean | undefined;
  readonly onProgress?: ((progress: PrepareProgress) => void) | undefined;
  /** Aborts the work, which leaves nothing behind. */
  readonly signal?: AbortSignal | undefined;
}

export interface PrepareProgress {
  /** Bytes of the files on disk: read so far, and in all. */
  readonly bytesRead: number;
  readonly bytesTotal: number;
  readonly documents: number;
  readonly tokens: number;
}

type Settings = DatasetInfo["settings"];

/**
 * Encodes text, JSONL and folders of them, plain, gzip or zstd, to llm.c token shards: `OUT/train-00000.bin`, …,
 * `OUT/val-00000.bin`, …, `OUT/dataset.json`, `OUT/tokenizer.json`. Each document is preceded by `<|endoftext|>`.
 *
 * Works in bounded memory. The folder appears only when complete. The same input gives the same bytes.
 *
 * @throws {DataError} the input is missing, damaged or empty, or the vocabulary exceeds 16 bits
 * @throws {UsageError} an option is wrong, or the folder exists
 */
export async function prepareData(inputs: readonly Input[], options: PrepareOptions): Promise<DatasetInfo> {
  checkOptionNames("preparing data", options, {
    out: true,
    tokenizer: true,
    tokenizerName: true,
    valFraction: true,
    valInputs: true,
    shardTokens: true,
    workers: true,
    textField: true,
    separator: true,
    seed: true,
    overwrite: true,
    onProgress: true,
    signal: true,
  });
  const settings = checkSettings(options);
  const { tokenizer } = options;
  checkShardVocab(tokenizer.vocabSize);
  const { endOfText } = tokenizer;
  if (endOfText === undefined) {
    throw new DataError({
      op: "preparing data",
      expected: "a tokenizer with <|endoftext|>, to separate documents",
      got: "a tokenizer without it",
    });
  }
  checkOut(options.out, options.overwrite ?? false);
  const all = [...inputs, ...(options.valInputs ?? [])];
  const { files, skipped } = listInputs(all);
  refuseNoFiles(files, all, inputs.length);

  let info: DatasetInfo | undefined;
  const fill = async (folder: string) => {
    const writer = new DatasetWriter(folder, settings.shardTokens);
    try {
      await encodeAll(files, inputs.length, writer, { ...options, endOfText, settings });
      await writer.finish();
      const heldOut = await holdOut(writer, settings, { endOfText, decodeBytes: (ids) => tokenizer.decodeBytes(ids) });
      const tokenizerJson = writeTokenizerJson(tokenizer.vocabulary);
      info = {
        format: "gpt2-ts dataset",
        version: 1,
        tokenizer: {
          name: options.tokenizerName ?? "custom",
          sha256: createHash("sha256").update(tokenizerJson).digest("hex"),
          vocabSize: tokenizer.vocabSize,
          endOfText,
        },
        splits: {
          train: writer.splitInfo("train"),
          ...(writer.splits.val.tokens > 0 ? { val: writer.splitInfo("val") } : {}),
        },
        sources: writer.sources(all, files, inputs.length),
        settings: { ...settings, heldOut },
        replaced: writer.replaced,
        empty: writer.empty,
        skippedFiles: skipped,
      };
      await writeNewFile(join(folder, DATASET_TOKENIZER_FILE), tokenizerJson);
      await writeNewFile(join(folder, DATASET_INFO_FILE), `${JSON.stringify(info, null, 2)}\n`);
      options.signal?.throwIfAborted();
    } catch (error) {
      await writer.close();
      throw error;
    }
  };
  await writeFolderAtomically(options.out, fill, { errorClass: DataError });
  return info!;
}

interface RunOptions extends PrepareOptions {
  readonly endOfText: number;
  readonly settings: Omit<Settings, "heldOut">;
}

/** Reader → workers → writer: batches are encoded in any order, and written in the original order. */
async function encodeAll(
  files: readonly InputFile[],
  heldOutFrom: number,
  writer: DatasetWriter,
  options: RunOptions,
): Promise<void> {
  const { signal, settings } = options;
  const bytesTotal = files.reduce((sum, file) => sum + file.size, 0);
  const { endOfText } = options;
  const { valFraction, seed, textField } = settings;
  const workers = options.workers ?? defaultWorkers(bytesTotal);
  const pool = encodePool(options.tokenizer.vocabulary, { endOfText, valFraction, seed, textField }, workers);
  let bytesDone = 0;
  const encodePart = async (part: readonly InputFile[], destination: Destination) => {
    let bytesRead = bytesDone;
    const onRead = (file: number, bytes: number) => {
      bytesRead = bytesDone + bytes;
      for (let i = 0; i < file; i++) bytesRead += part[i]!.size;
    };
    signal?.throwIfAborted();
    const batches = makeBatches(part, { destination, separator: settings.separator ?? undefined, onRead, signal });
    for await (const encoded of pool.map(batches, ({ bytes }) => [bytes.buffer])) {
      await writer.write(encoded, part);
      signal?.throwIfAborted();
      options.onProgress?.({ bytesRead, bytesTotal, documents: writer.documents, tokens: writer.tokens });
    }
    for (const file of part) bytesDone += file.size;
    options.onProgress?.({ bytesRead: bytesDone, bytesTotal, documents: writer.documents, tokens: writer.tokens });
  };
  try {
    const train = files.filter((file) => file.input < heldOutFrom);
    const val = files.filter((file) => file.input >= heldOutFrom);
    await encodePart(train, val.length === 0 ? "hash" : "train");
    if (val.length > 0) await encodePart(val, "val");
  } finally {
    await pool.close();
  }
  refuseNoText(writer, files, heldOutFrom);
}

/** The last resort for text with few documents, where hashing holds out all or none. */
async function holdOut(
  writer: DatasetWriter,
  settings: Omit<Settings, "heldOut">,
  tokenizer: { endOfText: number; decodeBytes(ids: ArrayLike<number>): Uint8Array },
): Promise<Settings["heldOut"]> {
  const { train, val } = writer.splits;
  if (settings.valFraction === 0) return val.tokens > 0 ? "files" : "none";
  if (train.tokens > 0 && val.tokens > 0) return "documents";
  await writer.holdOutTail(settings.valFraction, tokenizer);
  return "tail";
}

function checkSettings(options: PrepareOptions): Omit<Settings, "heldOut"> {
  const byFiles = (options.valInputs?.length ?? 0) > 0;
  const valFraction = options.valFraction ?? (byFiles ? 0 : 0.01);
  const shardTokens = options.shardTokens ?? 100_000_000;
  const { workers, separator } = options;
  const wrong = (name: string, expected: string, got: unknown) =>
    new UsageError({ op: `preparing data: ${name}`, expected, got: String(got) });
  if (byFiles && valFraction !== 0) throw wrong("valFraction", "none beside valInputs", valFraction);
  if (!(valFraction >= 0 && valFraction < 1)) throw wrong("valFraction", "a share from 0 to below 1", valFraction);
  if (!Number.isInteger(shardTokens) || shardTokens < 1 || shardTokens > SHARD_MAX_TOKENS) {
    throw wrong("shardTokens", `a number from 1 to ${SHARD_MAX_TOKENS}`, shardTokens);
  }
  checkWorkers("preparing data", workers);
  if (separator === "") throw wrong("separator", "some text", '""');
  return {
    valFraction,
    seed: options.seed ?? 1337,
    shardTokens,
    textField: options.textField ?? "text",
    separator: separator ?? null,
  };
}

function refuseNoFiles(files: readonly InputFile[], inputs: readonly Input[], heldOutFrom: number): void {
  const lacking = (held: boolean) => !files.some((file) => file.input >= heldOutFrom === held);
  if (!lacking(false) && (heldOutFrom === inputs.length || !lacking(true))) return;
  throw new DataError({
    op: `reading ${namesOf(lacking(false) ? inputs.slice(0, heldOutFrom) : inputs.slice(heldOutFrom)) || "(no input)"}`,
    expected: `text files (in folders: ${INPUT_KINDS})`,
    got: "none",
  });
}

function refuseNoText(writer: DatasetWriter, files: readonly InputFile[], heldOutFrom: number): void {
  const { train, val } = writer.splits;
  const byFiles = files.some((file) => file.input >= heldOutFrom);
  if (byFiles ? train.documents > 0 && val.documents > 0 : writer.documents > 0) return;
  const empty = byFiles && train.documents > 0 ? "the held-out files" : (files[0]?.path ?? "");
  throw new DataError({ op: `preparing data from ${empty}`, expected: "text", got: "nothing but white space" });
}

/** An existing folder must be empty, or a data set that may be replaced. */
function checkOut(out: string, overwrite: boolean): void {
  if (!existsSync(out)) return;
  let entries: string[];
  try {
    entries = readdirSync(out);
  } catch (cause) {
    throw readError(cause, `writing to ${out}`, "a folder", UsageError);
  }
  if (entries.length === 0 || (overwrite && entries.includes(DATASET_INFO_FILE))) return;
  const isDataset = entries.includes(DATASET_INFO_FILE);
  throw new UsageError({
    op: `writing to ${out}`,
    expected: "a new folder",
    got: isDataset ? "one with a data set" : "one with other files",
    hint: isDataset ? "Replace it with --overwrite, or name another" : "Name another",
  });
}
