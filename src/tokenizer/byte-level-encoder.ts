import { UsageError } from "../errors.js";
import { type EncoderToken, encoderTokenId } from "./encoder-tokens.js";
import type { Tokenizer } from "./tokenizer.js";
import type { WordPieceEncodeOptions, WordPieceEncoding } from "./wordpiece/tokenizer.js";

/**
 * What a BERT needs of its tokenizer: WordPiece has all of it, a byte-level BPE with a BERT's special tokens what filling
 * masks, vectors and labels of texts take.
 */
export interface EncoderTokenizer {
  readonly vocabSize: number;
  encode(text: string | readonly [string, string], options?: WordPieceEncodeOptions): WordPieceEncoding;
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  idOf(token: string): number | undefined;
  /** Whether an id continues the word of the token before it. */
  continuesWord(id: number, before: number): boolean;
}

/** A byte-level BPE as a BERT's tokenizer. Offsets are not kept. */
export class ByteLevelEncoder implements EncoderTokenizer {
  readonly tokenizer: Tokenizer;
  readonly #special: readonly number[];

  constructor(tokenizer: Tokenizer) {
    this.tokenizer = tokenizer;
    this.#special = (["[PAD]", "[CLS]", "[SEP]", "[MASK]"] as EncoderToken[]).map((text) =>
      encoderTokenId(tokenizer.vocabulary, text),
    );
  }

  get vocabSize(): number {
    return this.tokenizer.vocabSize;
  }

  encode(text: string | readonly [string, string], options: WordPieceEncodeOptions = {}): WordPieceEncoding {
    const { allowedSpecial, addSpecialTokens = true, truncation } = options;
    const texts = typeof text === "string" ? [text] : text;
    const plain = { addSpecialTokens: false, ...(allowedSpecial && { allowedSpecial }) };
    const pieces = texts.map((one) => Array.from(this.tokenizer.encode(one, plain)));
    const marks = addSpecialTokens ? texts.length + 1 : 0;
    if (truncation) this.#cut(pieces, truncation.maxLength - marks);
    const [, cls, sep] = this.#special as [number, number, number];
    const parts = pieces.map((ids, i) => (addSpecialTokens ? [...(i === 0 ? [cls] : []), ...ids, sep] : ids));
    const ids = Uint32Array.from(parts.flat());
    const own = (i: number, n: number): boolean => {
      const { length } = parts[i]!;
      return !addSpecialTokens || (n < length - 1 && (i > 0 || n > 0));
    };
    return {
      ids,
      typeIds: Uint8Array.from(parts.flatMap((part, i) => part.map(() => i))),
      texts: Int8Array.from(parts.flatMap((part, i) => part.map((_, n) => (own(i, n) ? i : -1)))),
      offsets: new Uint32Array(2 * ids.length),
      overflowing: [],
    };
  }

  /** Takes tokens off the end of the longer text. @throws {UsageError} no room for any. */
  #cut(pieces: number[][], room: number): void {
    if (room < 0) throw new UsageError({ op: "encoding: maxLength", expected: "room for a text", got: "none" });
    while (pieces.reduce((n, { length }) => n + length, 0) > room) {
      pieces.reduce((longest, piece) => (piece.length > longest.length ? piece : longest)).pop();
    }
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = false }: { readonly skipSpecialTokens?: boolean } = {}): string {
    const kept = Array.from(ids).filter((id) => !skipSpecialTokens || !this.#special.includes(id));
    return this.tokenizer.decode(kept);
  }

  /** Of a token by its text: ` the`. */
  idOf(token: string): number | undefined {
    const special = this.tokenizer.specialTokens.get(token);
    if (special !== undefined) return special;
    const ids = this.tokenizer.encode(token, { addSpecialTokens: false });
    return ids.length === 1 ? ids[0] : undefined;
  }

  continuesWord(id: number, before: number): boolean {
    const [first] = this.tokenizer.decodeBytes([id]);
    const last = this.tokenizer.decodeBytes([before]).at(-1);
    return isWordByte(first) && isWordByte(last);
  }
}

/** Letters, digits, and bytes of characters beyond ASCII. */
const isWordByte = (byte = 0): boolean =>
  byte >= 0x80 || (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
