import { safeCut } from "./safe-cut.js";

/** Most bytes of a piece, so that documents may have any length. */
export const PIECE_BYTES = 1 << 20;

/** The line that separates documents in a text file. */
export const DEFAULT_SEPARATOR = "<|endoftext|>";

export type PieceHandler = (bytes: Uint8Array, begins: boolean) => void;

/**
 * Splits a stream of bytes into documents, and long documents into pieces that encode to the same tokens.
 *
 * Documents are separated by lines with only `<|endoftext|>`; the line and the line breaks around it belong to no document. A
 * `separator` separates them wherever it occurs. Pieces depend only on the bytes, never on how they arrive.
 */
export class DocumentSplitter {
  readonly #separator: Buffer;
  readonly #wholeLine: boolean;
  readonly #onPiece: PieceHandler;
  #pending = Buffer.alloc(0);
  /** Whether the next piece begins a document. */
  #begins = true;
  /** Whether the pending bytes begin a line. */
  #lineStart = true;
  /** No separator begins before this position. */
  #searched = 0;

  constructor(onPiece: PieceHandler, separator?: string) {
    this.#separator = Buffer.from(separator ?? DEFAULT_SEPARATOR);
    this.#wholeLine = separator === undefined;
    this.#onPiece = onPiece;
  }

  push(chunk: Uint8Array): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    this.#drain(false);
  }

  /** The end of the file, which ends a document too. */
  end(): void {
    this.#drain(true);
    if (this.#pending.length > 0) this.#emit(this.#pending.length);
  }

  #drain(atEnd: boolean): void {
    for (;;) {
      const found = this.#find(atEnd);
      // Separators are searched for first, and all that begin before the cut are complete: cuts depend on nothing else.
      if (found !== undefined && found.start <= PIECE_BYTES) {
        if (found.start > 0) this.#emit(found.start);
        this.#drop(found.end);
        this.#begins = true;
        this.#lineStart = this.#wholeLine;
      } else if (this.#pending.length > PIECE_BYTES + this.#margin) {
        const cut = safeCut(this.#pending, PIECE_BYTES);
        this.#emit(cut);
        this.#lineStart = this.#pending[cut - 1] === LINE_FEED;
        this.#drop(cut);
      } else {
        return;
      }
    }
  }

  /** Most bytes of a separator with the line breaks around it. */
  get #margin(): number {
    return this.#separator.length + 4;
  }

  /** The next complete separator, with its line breaks. */
  #find(atEnd: boolean): { start: number; end: number } | undefined {
    const bytes = this.#pending;
    for (let from = this.#searched; ; ) {
      const at = bytes.indexOf(this.#separator, from);
      if (at < 0) {
        this.#searched = Math.max(this.#searched, bytes.length - this.#separator.length + 1, 0);
        return undefined;
      }
      this.#searched = at;
      const after = at + this.#separator.length;
      if (!this.#wholeLine) return { start: at, end: after };
      if (after + 2 > bytes.length && !atEnd) return undefined;
      const start = this.#lineBreakBefore(at);
      const end = lineBreakAfter(bytes, after);
      if (start !== undefined && end !== undefined) return { start, end };
      from = this.#searched = at + 1;
    }
  }

  /** Start of the line break that ends at `at`; `at` itself if a line begins there; undefined in mid-line. */
  #lineBreakBefore(at: number): number | undefined {
    if (at === 0) return this.#lineStart ? 0 : undefined;
    if (this.#pending[at - 1] !== LINE_FEED) return undefined;
    return at > 1 && this.#pending[at - 2] === CARRIAGE_RETURN ? at - 2 : at - 1;
  }

  #emit(end: number): void {
    this.#onPiece(this.#pending.subarray(0, end), this.#begins);
    this.#begins = false;
  }

  #drop(end: number): void {
    this.#pending = this.#pending.subarray(end);
    this.#searched = Math.max(0, this.#searched - end);
  }
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** End of the line break at `at`; `at` itself at the end of the bytes; undefined in mid-line. */
function lineBreakAfter(bytes: Uint8Array, at: number): number | undefined {
  if (at >= bytes.length) return at;
  if (bytes[at] === LINE_FEED) return at + 1;
  return bytes[at] === CARRIAGE_RETURN && bytes[at + 1] === LINE_FEED ? at + 2 : undefined;
}
