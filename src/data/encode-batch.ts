import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import type { EncodeOptions } from "../tokenizer/tokenizer.js";
import type { Batch, EncodedBatch, Segment } from "./batch.js";
import { isBlank, linesOf, parseRecord, textField } from "./json-lines.js";

/** The parts of a tokenizer needed for encoding. */
export interface Encoder {
  readonly vocabSize: number;
  /** Ids of UTF-8 text, special tokens not recognized. */
  encodeBytes(utf8: Uint8Array, options: EncodeOptions): ArrayLike<number>;
}

export interface BatchEncoderOptions {
  /** Id put before each document. */
  readonly endOfText: number;
  /** Share of documents to hold out, if a batch's destination is `hash`. */
  readonly valFraction: number;
  readonly seed: number;
  /** Field of a JSONL object that holds the text. */
  readonly textField: string;
}

/** Number of leading bytes that identify a document: long ones arrive in pieces. */
const HASHED_BYTES = 1 << 16;

/** Turns batches of text into tokens: the work of a worker. */
export class BatchEncoder {
  readonly #encoder: Encoder;
  readonly #options: BatchEncoderOptions;
  readonly #hashKey: Buffer;
  #tokens = new Uint16Array(1 << 19);
  #count = 0;
  #segments: Segment[] = [];
  #split: Segment["split"];
  #replaced = 0;
  #empty = 0;

  constructor(encoder: Encoder, options: BatchEncoderOptions) {
    this.#encoder = encoder;
    this.#options = options;
    this.#hashKey = Buffer.from(`gpt2-ts held-out ${options.seed}\n`);
  }

  /** @throws {DataError} a JSONL line is not a JSON object with the field; names file and line */
  encode(batch: Batch): EncodedBatch {
    this.#count = 0;
    this.#segments = [];
    this.#split = undefined;
    this.#replaced = 0;
    this.#empty = 0;
    if (batch.format === "text") this.#encodePieces(batch);
    else this.#encodeLines(batch);
    const tokens = this.#tokens.slice(0, this.#count);
    return { tokens, segments: this.#segments, replaced: this.#replaced, empty: this.#empty };
  }

  #encodePieces(batch: Batch & { format: "text" }): void {
    batch.ends.forEach((end, i) => {
      const piece = this.#valid(batch.bytes.subarray(i === 0 ? 0 : batch.ends[i - 1]!, end));
      this.#add(piece, batch.begins[i] === 1, batch.files[i]!, batch.destination);
    });
  }

  #encodeLines(batch: Batch & { format: "jsonl" }): void {
    for (const { bytes, where } of linesOf(batch.bytes, batch.path, batch.line)) {
      const record = parseRecord(Buffer.from(this.#valid(bytes)).toString(), where);
      const document = textField({ record, where }, this.#options.textField, FIELD_HINT);
      const utf8 = Buffer.from(document);
      // Escapes can produce half a character: "\ud800".
      if (utf8.includes(REPLACEMENT)) this.#replaced += document.match(/\p{Surrogate}/gu)?.length ?? 0;
      this.#add(utf8, true, batch.file, batch.destination);
    }
  }

  #add(utf8: Uint8Array, begins: boolean, file: number, destination: Batch["destination"]): void {
    if (begins && utf8.length < HASHED_BYTES && isBlank(utf8)) {
      this.#empty++;
      return;
    }
    if (destination !== "hash") this.#split = destination;
    else if (begins) this.#split = this.#isHeldOut(utf8) ? "val" : "train";
    const ids = this.#encoder.encodeBytes(utf8, { addSpecialTokens: false, continues: !begins });
    this.#reserve(ids.length + 1);
    if (begins) this.#tokens[this.#count++] = this.#options.endOfText;
    this.#tokens.set(ids, this.#count);
    this.#count += ids.length;

    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.file !== file || segment.split !== this.#split) {
      segment = { file, split: this.#split, tokens: 0, documents: 0, bytes: 0 };
      this.#segments.push(segment);
    }
    segment.tokens += ids.length + (begins ? 1 : 0);
    segment.documents += begins ? 1 : 0;
    segment.bytes += utf8.length;
  }

  /** Depends only on the text, so copies of a document never end up in both splits. */
  #isHeldOut(utf8: Uint8Array): boolean {
    const { valFraction } = this.#options;
    if (valFraction <= 0) return false;
    const hash = createHash("sha256").update(this.#hashKey).update(utf8.subarray(0, HASHED_BYTES)).digest();
    return hash.readUIntBE(0, 6) / 2 ** 48 < valFraction;
  }

  /** Replaces bytes that are not UTF-8 by U+FFFD, and counts them. */
  #valid(bytes: Uint8Array): Uint8Array {
    if (isUtf8(bytes)) return bytes;
    const before = countReplacements(bytes);
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
    const repaired = Buffer.from(text);
    this.#replaced += countReplacements(repaired) - before;
    return repaired;
  }

  #reserve(n: number): void {
    if (this.#count + n <= this.#tokens.length) return;
    const larger = new Uint16Array(Math.max(2 * this.#tokens.length, this.#count + n));
    larger.set(this.#tokens.subarray(0, this.#count));
    this.#tokens = larger;
  }
}

const FIELD_HINT = "Name the field that holds the text with --field";

/** U+FFFD. */
const REPLACEMENT = Buffer.from([0xef, 0xbf, 0xbd]);

function countReplacements(bytes: Uint8Array): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let count = 0;
  for (let at = buffer.indexOf(REPLACEMENT); at >= 0; at = buffer.indexOf(REPLACEMENT, at + 3)) count++;
  return count;
}
