import { BatchEncoder } from "./encode-batch.js";
import type { InputFile } from "./inputs.js";
import { makeBatches } from "./make-batches.js";

export interface ReadDocumentsOptions {
  /** Field of JSONL objects that holds the text. */
  readonly textField: string;
  /** Text between documents in text files; default: a line that is `<|endoftext|>`. */
  readonly separator?: string | undefined;
  /** Called with the bytes read of each file so far, as they are on disk. */
  readonly onRead?: (file: number, bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The documents of the files as UTF-8, in order; long ones in pieces cut where a pre-token ends. Each is valid until
 * the next is requested.
 *
 * @throws {DataError} an unreadable or damaged file, or a JSONL line without the text
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
