import type { InputFile } from "./inputs.js";
import { type JsonLine, jsonLines } from "./json-lines.js";
import { type MakeBatchesOptions, makeBatches } from "./make-batches.js";

export interface FileLine extends JsonLine {
  /** Index of its file. */
  readonly file: number;
}

/**
 * The objects of JSONL files, plain or compressed, in order.
 *
 * @throws {DataError} an unreadable file, or a line that is no JSON object, by file and line.
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
