import type { WordPieceEncodeOptions, WordPieceEncoding } from "./wordpiece/encode-pieces.js";

/** What a BERT needs of its tokenizer: WordPiece, or a byte-level BPE with a BERT's or a RoBERTa's special tokens. */
export interface EncoderTokenizer {
  readonly vocabSize: number;
  /** The token that stands for what is to be filled in: `[MASK]`, or RoBERTa's `<mask>`. */
  readonly maskToken: string;
  encode(text: string | readonly [string, string], options?: WordPieceEncodeOptions): WordPieceEncoding;
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  idOf(token: string): number | undefined;
  /** Whether an id continues the word of the token before it. */
  continuesWord(id: number, before: number): boolean;
  /** A token as the vocabulary writes it; undefined for the one of unknown words. */
  tokenText(id: number): string | undefined;
  /** Whether a token at [start, end) of a text continues a word, as transformers' pipelines have it. */
  continuesIn(text: string, id: number, start: number, end: number): boolean;
  /** Text of tokens as the vocabulary writes them. */
  joinTokens(tokens: readonly string[]): string;
}
