import type { Batch } from "../../data/batch.js";
import { BatchEncoder } from "../../data/encode-batch.js";
import type { BloomWriter } from "./bloom-filter.js";
import { NgramScanner } from "./ngram-scanner.js";
import { lastWords } from "./words.js";

/** Counts of a text. */
export interface TextCounts {
  readonly documents: number;
  readonly words: number;
  readonly ngrams: number;
}

/** Counts the n-grams of batches, and adds them to a filter once there is one: a worker's job. */
export class BatchScanner {
  readonly #reader: PieceReader;
  readonly #scanner: NgramScanner;
  /** Adds n-grams to the filter, once there is one. */
  writer: BloomWriter | undefined;

  constructor(n: number, textField: string) {
    this.#reader = new PieceReader(textField);
    this.#scanner = new NgramScanner(n);
  }

  /**
   * @param before last words before the batch, if it continues a document
   * @throws {DataError} a JSONL line that is no JSON object with the field, naming file and line
   */
  scan(batch: Batch, before: string): TextCounts {
    const scanner = this.#scanner;
    let [documents, words, ngrams] = [0, 0, 0];
    scanner.begin();
    scanner.push(before);
    this.#reader.read(batch, (text, begins) => {
      if (begins) {
        scanner.begin();
        documents++;
      }
      words -= scanner.words;
      const count = scanner.push(text);
      words += scanner.words;
      ngrams += count;
      this.writer?.add(scanner.first, scanner.second, count);
    });
    this.writer?.flush();
    return { documents, words, ngrams };
  }
}

/** Called with a document or a part of one, and whether it begins there. */
export type VisitPiece = (text: string, begins: boolean) => void;

/** Reads the texts of batches from `makeBatches`: pieces of text files' documents, and lines of JSONL. */
export class PieceReader {
  readonly #lines: BatchEncoder;
  #visit: VisitPiece = () => {};

  /** @param textField field of JSONL objects that holds the text */
  constructor(textField: string) {
    // The encoder of token shards finds the texts of lines and reports malformed ones; it is given no tokens.
    const encodeBytes = (utf8: Uint8Array): number[] => {
      this.#visit(textOf(utf8), true);
      return [];
    };
    this.#lines = new BatchEncoder({ vocabSize: 0, encodeBytes }, { endOfText: 0, valFraction: 0, seed: 0, textField });
  }

  /** @throws {DataError} a JSONL line that is no JSON object with the field, naming file and line */
  read(batch: Batch, visit: VisitPiece): void {
    if (batch.format === "jsonl") {
      this.#visit = visit;
      this.#lines.encode(batch);
      return;
    }
    batch.ends.forEach((end, i) => {
      visit(textOf(batch.bytes.subarray(i === 0 ? 0 : batch.ends[i - 1]!, end)), batch.begins[i] === 1);
    });
  }
}

function textOf(utf8: Uint8Array): string {
  return Buffer.from(utf8.buffer, utf8.byteOffset, utf8.length).toString();
}

/** A batch, and the last words before it if it continues a document. */
export interface LedBatch {
  readonly batch: Batch;
  readonly before: string;
}

/** Batches, each with the last `count` words before it, so that any thread finds the n-grams that cross into it. */
export async function* ledBatches(
  batches: AsyncIterable<Batch>,
  count: number,
): AsyncGenerator<LedBatch, void, undefined> {
  let words: string[] = [];
  for await (const batch of batches) {
    if (batch.format === "jsonl") {
      words = [];
      yield { batch, before: "" };
      continue;
    }
    const before = batch.begins[0] === 1 ? "" : words.join(" ");
    const last = batch.begins.lastIndexOf(1);
    const document = batch.bytes.subarray(last <= 0 ? 0 : batch.ends[last - 1]!);
    // A batch in which no document begins may hold fewer than `count` words of the one it continues.
    words = [...(last < 0 ? words : []), ...lastWords(document, count)].slice(-count);
    // After this the bytes may belong to another thread.
    yield { batch, before: count === 0 ? "" : before };
  }
}
