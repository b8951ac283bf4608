import { BatchEncoder } from "./encode-batch.js";
import type { InputFile } from "./inputs.js";
import { makeBatches } from "./make-batches.js";

export interface ReadDocumentsOptions {
  /** Field of JSONL objects that holds the text. */
  readonly textField: string;
  /** Separator of documents in text files. Default: a line `<|endoftext|>`. */
  readonly separator?: string | undefined;
  /** Called with the number of bytes on disk read of each file so far. */
  readonly onRead?: (file: number, bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Yields the documents of the files as UTF-8, in order, long ones in pieces cut at pre-token boundaries. Each is valid until the
 * next is requested.
 *
 * @throws {DataError} a file is unreadable or damaged, or a JSONL line lacks the text
 */
export async function* readDocuments(
  files: readonly InputFile[],
  options: ReadDocumentsOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces: Uint8Array[] = [];
  const collect = (utf8: Uint8Array): number[] => {
    pieces.push(utf8);
    return [];
  };
  const encoder = new BatchEncoder(
    { vocabSize: 0, encodeBytes: collect },
    {
      endOfText: 0,
      valFraction: 0,
      seed: 0,
      textField: options.textField,
    },
  );
  for await (const batch of makeBatches(files, { destination: "train", ...options })) {
    encoder.encode(batch);
    yield* pieces.splice(0);
  }
}
