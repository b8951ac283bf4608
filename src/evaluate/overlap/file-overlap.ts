import { INPUT_KINDS, listInputs } from "../../data/inputs.js";
import { makeBatches } from "../../data/make-batches.js";
import { DataError } from "../../errors.js";
import { PieceReader } from "./batch-scanner.js";
import type { NgramFilter } from "./ngram-filter.js";
import { type ItemOverlap, OverlapMeter } from "./overlap.js";

export interface FileOverlapOptions {
  /** Field of JSONL objects that holds the text, default "text". */
  readonly textField?: string | undefined;
  /** Text that separates documents in text files; default: lines that are `<|endoftext|>`. */
  readonly separator?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told the bytes read, as they are on disk, and in all. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
}

/**
 * What of each document of text, JSONL and folders of them, plain, gzip or zstd, is in the filter.
 *
 * @throws {DataError} missing or damaged input.
 */
export async function fileOverlap(
  inputs: readonly string[],
  filter: NgramFilter,
  { textField = "text", separator, signal, onProgress }: FileOverlapOptions = {},
): Promise<ItemOverlap[]> {
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
  for await (const batch of makeBatches(files, { destination: "train", separator, onRead })) {
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
