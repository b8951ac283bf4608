import type { InputFile } from "./inputs.js";
import { type JsonLine, jsonLines } from "./json-lines.js";
import { type MakeBatchesOptions, makeBatches } from "./make-batches.js";

export interface FileLine extends JsonLine {
  /** Index of its file. */
  readonly file: number;
}

/**
 * Yields the objects of JSONL files, plain or compressed, in order.
 *
 * @throws {DataError} a file is unreadable, or a line is not a JSON object; names file and line.
 */
export async function* readLines(
  files: readonly InputFile[],
  options: Pick<MakeBatchesOptions, "onRead" | "signal"> = {},
): AsyncGenerator<FileLine, void, undefined> {
  for await (const batch of makeBatches(files, { destination: "train", ...options })) {
    if (batch.format !== "jsonl") continue;
    for (const line of jsonLines(batch.bytes, batch.path, batch.line)) yield { ...line, file: batch.file };
  }
}
