import type { Batch } from "../../data/batch.js";
import { BatchEncoder } from "../../data/encode-batch.js";
import type { BloomWriter } from "./bloom-filter.js";
import { NgramScanner } from "./ngram-scanner.js";
import { lastWords } from "./words.js";

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

/** A document, or a part of one: its text, and whether it begins there. */
export type VisitPiece = (text: string, begins: boolean) => void;

/** Goes through the texts of batches from `makeBatches`, which hold text files' documents in pieces, and JSONL's lines. */
export class PieceReader {
  readonly #lines: BatchEncoder;
  #visit: VisitPiece = () => {};

  /** @param textField field of JSONL objects that holds the text */
  constructor(textField: string) {
    // What finds the texts in lines, and says what is wrong with one, is the same as for tokens.
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

/** A batch, and the last words before it of the document that it goes on with. */
export interface LedBatch {
  readonly batch: Batch;
  readonly before: string;
}

/** Batches with at most `count` words before each, so that any thread finds the n-grams that cross into it. */
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
    // Where none begins the document goes on through the whole batch, which may hold fewer words than are wanted.
    words = [...(last < 0 ? words : []), ...lastWords(document, count)].slice(-count);
    // From here on the bytes may be another thread's.
    yield { batch, before: count === 0 ? "" : before };
  }
}
