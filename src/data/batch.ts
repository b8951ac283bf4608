/** Messages between the reader and the workers that encode. */

/** The split of a document: by a hash of its text, or the one that its file was given for. */
export type Destination = "hash" | "train" | "val";

/** Documents, or parts of one, on their way to a worker. About 1 MiB, more only for one long JSONL line. */
export type Batch =
  | {
      readonly format: "text";
      readonly destination: Destination;
      readonly bytes: Uint8Array<ArrayBuffer>;
      /** [pieces] end of each piece in `bytes`. */
      readonly ends: Uint32Array<ArrayBuffer>;
      /** [pieces] 1: begins a document; 0: continues the one before. */
      readonly begins: Uint8Array<ArrayBuffer>;
      /** [pieces] index of the file. */
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

/** Neighbouring pieces of one file that go to the same split. */
export interface Segment {
  readonly file: number;
  /** Undefined: the split of the document that the previous batch ended in. */
  readonly split: "train" | "val" | undefined;
  tokens: number;
  /** Documents that begin here. */
  documents: number;
  /** UTF-8 bytes of text. */
  bytes: number;
}

/** A batch, encoded: the tokens of its segments one after the other. */
export interface EncodedBatch {
  readonly tokens: Uint16Array<ArrayBuffer>;
  readonly segments: readonly Segment[];
  /** Invalid UTF-8 sequences that were replaced by U+FFFD. */
  readonly replaced: number;
  /** Documents of white space only, left out. */
  readonly empty: number;
}
