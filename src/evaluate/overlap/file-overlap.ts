import { INPUT_KINDS, listInputs } from "../../data/inputs.js";
import { makeBatches } from "../../data/make-batches.js";
import { DataError } from "../../errors.js";
import { checkOptionNames } from "../../util/nearest.js";
import { PieceReader } from "./batch-scanner.js";
import type { NgramFilter } from "./ngram-filter.js";
import { type ItemOverlap, OverlapMeter } from "./overlap.js";

export interface FileOverlapOptions {
  /** Field of JSONL objects with the text. Default "text". */
  readonly textField?: string | undefined;
  /** Separator of documents in text files. Default: lines `<|endoftext|>`. */
  readonly separator?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes on disk read so far, and in all. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
}

/**
 * Overlap of each document of text, JSONL and folders of them, plain, gzip or zstd.
 *
 * @throws {DataError} missing or damaged input.
 */
export async function fileOverlap(
  inputs: readonly string[],
  filter: NgramFilter,
  options: FileOverlapOptions = {},
): Promise<ItemOverlap[]> {
  checkOptionNames("overlap of files", options, { textField: true, separator: true, signal: true, onProgress: true });
  const { textField = "text", separator, signal, onProgress } = options;
  const { files } = listInputs(inputs);
  if (files.length === 0) {
    throw new DataError({ op: `reading ${inputs.join(", ")}`, expected: `text files (${INPUT_KINDS})`, got: "none" });
  }
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const onRead = (file: number, bytes: number) => {
    onProgress?.(bytes + files.slice(0, file).reduce((sum, { size }) => sum + size, 0), total);
  };
  const reader = new PieceReader(textField);
  const meter = new OverlapMeter(filter);
  const overlaps: ItemOverlap[] = [];
  let open = false;
  for await (const batch of makeBatches(files, { destination: "train", separator, onRead, signal })) {
    signal?.throwIfAborted();
    reader.read(batch, (text, begins) => {
      if (begins && open) overlaps.push(meter.take());
      open = true;
      meter.add(text);
    });
  }
  if (open) overlaps.push(meter.take());
  return overlaps;
}
