import type { Batch } from "../../data/batch.js";
import { PieceReader } from "./batch-pieces.js";
import type { BloomWriter } from "./bloom-writer.js";
import { NgramScanner } from "./ngram-scanner.js";

/** What a text has. */
export interface TextCounts {
  readonly documents: number;
  readonly words: number;
  readonly ngrams: number;
}

/** Counts the n-grams of batches, and adds them to a filter once there is one: the whole work of a worker. */
export class BatchScanner {
  readonly #reader: PieceReader;
  readonly #scanner: NgramScanner;
  /** Where n-grams are added, once there is a filter. */
  writer: BloomWriter | undefined;

  constructor(n: number, textField: string) {
    this.#reader = new PieceReader(textField);
    this.#scanner = new NgramScanner(n);
  }

  /**
   * @param before words that stand before the batch in the document that it goes on with
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
