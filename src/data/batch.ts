/** Messages between the reader and the encoding workers. */

/** The split of a document: by a hash of its text, or the split that its file was given for. */
export type Destination = "hash" | "train" | "val";

/** Documents, or parts of one, for a worker. About 1 MiB; more only for a single long JSONL line. */
export type Batch =
  | {
      readonly format: "text";
      readonly destination: Destination;
      readonly bytes: Uint8Array<ArrayBuffer>;
      /** [pieces] The end of each piece in `bytes`. */
      readonly ends: Uint32Array<ArrayBuffer>;
      /** [pieces] 1 if the piece begins a document, 0 if it continues the previous one. */
      readonly begins: Uint8Array<ArrayBuffer>;
      /** [pieces] The index of the file. */
      readonly files: Uint32Array<ArrayBuffer>;
    }
  | {
      readonly format: "jsonl";
      readonly destination: Destination;
      /** Whole lines. */
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly file: number;
      readonly path: string;
      /** Number of the first line, from 1. */
      readonly line: number;
    };

/** Consecutive pieces of a file that belong to the same split. */
export interface Segment {
  readonly file: number;
  /** Undefined: the split of the document that the previous batch ended in. */
  readonly split: "train" | "val" | undefined;
  tokens: number;
  /** Number of documents that begin here. */
  documents: number;
  /** UTF-8 bytes of text. */
  bytes: number;
}

/** An encoded batch: the consecutive tokens of its segments. */
export interface EncodedBatch {
  readonly tokens: Uint16Array<ArrayBuffer>;
  readonly segments: readonly Segment[];
  /** Invalid UTF-8 sequences that were replaced by U+FFFD. */
  readonly replaced: number;
  /** Number of documents of white space only, which are left out. */
  readonly empty: number;
}
