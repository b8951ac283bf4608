import type { WordPieceEncodeOptions, WordPieceEncoding } from "./wordpiece/encode-pieces.js";

/** A BERT's tokenizer: WordPiece, or a byte-level BPE with a BERT's or a RoBERTa's special tokens. */
export interface EncoderTokenizer {
  readonly vocabSize: number;
  /** The token for a blank: `[MASK]`, or RoBERTa's `<mask>`. */
  readonly maskToken: string;
  encode(text: string | readonly [string, string], options?: WordPieceEncodeOptions): WordPieceEncoding;
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  idOf(token: string): number | undefined;
  /** Whether an id continues the word of the token before it. */
  continuesWord(id: number, before: number): boolean;
  /** A token as written in the vocabulary; undefined for the unknown token. */
  tokenText(id: number): string | undefined;
  /** Whether a token at [start, end) of a text continues a word, by the rule of transformers' pipelines. */
  continuesIn(text: string, id: number, start: number, end: number): boolean;
  /** The text of tokens as written in the vocabulary. */
  joinTokens(tokens: readonly string[]): string;
}
