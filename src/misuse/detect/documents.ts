import { INPUT_KINDS, listInputs } from "../../data/inputs.js";
import { makeBatches } from "../../data/make-batches.js";
import { DataError } from "../../errors.js";
import { PieceReader } from "../../evaluate/overlap/batch-scanner.js";
import { checkOptionNames } from "../../util/nearest.js";

export interface ReadDocumentsOptions {
  /** Field of JSONL objects that holds the text. Default "text". */
  readonly textField?: string | undefined;
  /** Separator of documents in text files. Default: lines that are `<|endoftext|>`. */
  readonly separator?: string | undefined;
}

/**
 * Reads documents of text files, JSONL files and folders of them, plain or compressed, into memory.
 *
 * @throws {DataError} the input is missing, damaged or empty.
 */
export async function readDocuments(inputs: readonly string[], options: ReadDocumentsOptions = {}): Promise<string[]> {
  checkOptionNames("reading documents", options, { textField: true, separator: true });
  const { textField = "text", separator } = options;
  const { files } = listInputs(inputs);
  const op = `reading ${inputs.join(", ")}`;
  if (files.length === 0) throw new DataError({ op, expected: `text files (${INPUT_KINDS})`, got: "none" });
  const reader = new PieceReader(textField);
  const documents: string[][] = [];
  for await (const batch of makeBatches(files, { destination: "train", separator })) {
    reader.read(batch, (text, begins) => {
      if (begins || documents.length === 0) documents.push([]);
      documents.at(-1)!.push(text);
    });
  }
  const texts = documents.map((pieces) => pieces.join("")).filter((text) => text.trim() !== "");
  if (texts.length > 0) return texts;
  throw new DataError({ op, expected: "texts", got: "only white space" });
}
