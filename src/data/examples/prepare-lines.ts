/** Encodes JSONL to a folder of examples of any kind. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DataError, UsageError } from "../../errors.js";
import { type TextTokenizer, textOfTokenizer } from "../../tokenizer/text-tokenizer.js";
import { writeFolderAtomically, writeNewFile } from "../../util/atomic-write.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import { DATASET_TOKENIZER_FILE } from "../dataset-info.js";
import { type Input, type InputFile, type ListOptions, listInputs, nameOf, namesOf } from "../inputs.js";
import { type FileLine, readLines } from "../read-lines.js";
import { checkShardVocab } from "../shard.js";
import { type HeldOutBy, holdOut, isHeldOut } from "./held-out.js";

export interface PrepareLinesOptions {
  /** Output folder, which must not exist. */
  readonly out: string;
  readonly tokenizer: TextTokenizer;
  /** Name of the tokenizer in the folder's description. Default "custom". */
  readonly tokenizerName?: string | undefined;
  /** Share of the examples to hold out, chosen by a hash of their text. Default 0.1. */
  readonly valFraction?: number | undefined;
  /** Files and folders to hold out instead. */
  readonly valInputs?: readonly string[] | undefined;
  /** Seed for choosing held-out examples. Default 1337. */
  readonly seed?: number | undefined;
  readonly onProgress?: ((progress: LinesProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The names of {@link PrepareLinesOptions}. */
export const LINE_OPTIONS: Readonly<Record<keyof PrepareLinesOptions, true>> = {
  out: true,
  tokenizer: true,
  tokenizerName: true,
  valFraction: true,
  valInputs: true,
  seed: true,
  onProgress: true,
  signal: true,
};

export interface LinesProgress {
  /** Bytes of the files on disk: read so far, and in all. */
  readonly bytesRead: number;
  readonly bytesTotal: number;
  readonly examples: number;
}

/** The example of a line. */
export interface LineExample<Item> {
  readonly item: Item;
  /** The text whose hash chooses its split. */
  readonly texts: readonly string[];
}

/** An example, the index of its file, and its split. */
export type Held<Item> = Item & { readonly file: number; readonly heldOut: boolean };

export interface PreparedLines<Item> {
  /** Both splits, in the order of the lines. */
  readonly all: Held<Item>[];
  readonly train: Held<Item>[];
  readonly val: Held<Item>[];
  /** Lines with an empty loss mask. */
  readonly empty: number;
  /** For the folder's description. */
  readonly sources: readonly { readonly input: string; readonly heldOut: boolean; readonly count: number }[];
  readonly settings: { readonly valFraction: number; readonly seed: number; readonly heldOut: HeldOutBy };
}

/** Reads lines from files; by default lines of JSONL. */
export interface LineReader extends ListOptions {
  readonly read?: typeof readLines;
}

/**
 * Reads, encodes and splits the lines of JSONL files. The examples are kept in memory.
 *
 * @param encode encodes a line; undefined if its loss mask is empty
 * @throws {DataError} the input is missing or malformed, or leaves nothing to train on
 * @throws {UsageError} an option is wrong, or the folder exists
 */
export async function prepareLines<Item extends object>(
  inputs: readonly Input[],
  options: PrepareLinesOptions,
  encode: (line: FileLine) => LineExample<Item> | undefined,
  { json, read = readLines }: LineReader = {},
): Promise<PreparedLines<Item>> {
  const { out, tokenizer, valInputs = [], signal, onProgress } = options;
  const { valFraction, seed } = checkSettings(options);
  checkShardVocab(tokenizer.vocabSize);
  if (existsSync(out)) {
    throw new UsageError({ op: `writing to ${out}`, expected: "a new folder", got: "an existing one" });
  }
  const all = [...inputs, ...valInputs];
  const files = jsonlFiles(all, { json });
  const bytesTotal = files.reduce((sum, { size }) => sum + size, 0);
  let bytesRead = 0;
  const onRead = (file: number, bytes: number): void => {
    bytesRead = files.slice(0, file).reduce((sum, { size }) => sum + size, bytes);
  };
  const examples: Held<Item>[] = [];
  let lines = 0;
  for await (const line of read(files, { onRead, signal })) {
    const example = encode(line);
    if (example) {
      const heldOut = files[line.file]!.input >= inputs.length || isHeldOut(example.texts, { valFraction, seed });
      examples.push({ ...example.item, file: line.file, heldOut });
    }
    if (++lines % 256 > 0) continue;
    onProgress?.({ bytesRead, bytesTotal, examples: examples.length });
    await yieldToEventLoop();
    signal?.throwIfAborted();
  }
  if (lines === 0) throw new DataError({ op: `reading ${files[0]!.path}`, expected: "lines of JSON", got: "none" });
  const [train, val, heldOut] = holdOut(examples, valFraction, valInputs.length > 0);
  if (train.length === 0) {
    throw new DataError({
      op: `preparing examples from ${namesOf(inputs)}`,
      expected: "examples to train on",
      got: "none",
    });
  }
  signal?.throwIfAborted();
  const sources = all.map((input, i) => {
    const count = examples.filter(({ file }) => files[file]!.input === i).length;
    return { input: nameOf(input), heldOut: i >= inputs.length, count };
  });
  return {
    all: examples,
    train,
    val,
    empty: lines - examples.length,
    sources,
    settings: { valFraction, seed, heldOut },
  };
}

/** The tokenizer's entry in a folder's description. */
export function tokenizerInfo({ tokenizer, tokenizerName }: PrepareLinesOptions): TokenizerInfo {
  const json = textOfTokenizer(tokenizer);
  return {
    name: tokenizerName ?? "custom",
    sha256: createHash("sha256").update(json).digest("hex"),
    vocabSize: tokenizer.vocabSize,
  };
}

export interface TokenizerInfo {
  readonly name: string;
  readonly sha256: string;
  readonly vocabSize: number;
}

/** Writes a folder of examples as a whole or not at all. @param write writes a split's arrays */
export async function writeExampleFolder(
  { out, tokenizer }: PrepareLinesOptions,
  description: { readonly file: string; readonly info: { readonly splits: { readonly val?: unknown } } },
  write: (folder: string, split: "train" | "val") => Promise<void>,
): Promise<void> {
  const { file, info } = description;
  const fill = async (folder: string): Promise<void> => {
    await write(folder, "train");
    if (info.splits.val) await write(folder, "val");
    await writeNewFile(join(folder, DATASET_TOKENIZER_FILE), textOfTokenizer(tokenizer));
    await writeNewFile(join(folder, file), `${JSON.stringify(info, null, 2)}\n`);
  };
  await writeFolderAtomically(out, fill, { errorClass: DataError });
}

/** @throws {UsageError} the share is out of range, or given beside held-out files. */
function checkSettings({
  valFraction,
  valInputs = [],
  seed = 1337,
}: Pick<PrepareLinesOptions, "valFraction" | "valInputs" | "seed">): { valFraction: number; seed: number } {
  const fraction = valFraction ?? (valInputs.length > 0 ? 0 : 0.1);
  if (fraction >= 0 && fraction < 1 && (fraction === 0 || valInputs.length === 0)) {
    return { valFraction: fraction, seed };
  }
  const expected = valInputs.length > 0 ? "none beside valInputs" : "a share from 0 to below 1";
  throw new UsageError({ op: "preparing examples: valFraction", expected, got: String(valFraction) });
}

/** @throws {DataError} a file that is not JSONL, or no files. */
export function jsonlFiles(inputs: readonly Input[], options?: ListOptions): readonly InputFile[] {
  const { files } = listInputs(inputs, options);
  const [text] = files.filter(({ format }) => format !== "jsonl");
  if (files.length > 0 && text === undefined) return files;
  const got = text === undefined ? "none" : `${text.path}, which is text`;
  throw new DataError({ op: `reading ${namesOf(inputs)}`, expected: "JSONL files (.jsonl, .ndjson)", got });
}
