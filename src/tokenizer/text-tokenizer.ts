import { Tokenizer } from "./tokenizer.js";
import { writeTokenizerConfig } from "./tokenizer-config.js";
import { readTokenizerJson, writeTokenizerJson } from "./tokenizer-json.js";
import { readWordPieceJson, writeVocabTxt, writeWordPieceConfig, writeWordPieceJson } from "./wordpiece/read.js";
import { WordPieceTokenizer } from "./wordpiece/tokenizer.js";

/** Either kind of tokenizer, for code that only needs the ids of texts and the tokenizer's files. */
export type TextTokenizer = Tokenizer | WordPieceTokenizer;

/** Ids of a text, including the tokens of the tokenizer's template. */
export const idsOfText = (tokenizer: TextTokenizer, text: string): Uint32Array =>
  tokenizer instanceof Tokenizer ? tokenizer.encode(text) : tokenizer.encode(text).ids;

/** The text of the tokenizer's tokenizer.json. */
export const textOfTokenizer = (tokenizer: TextTokenizer): string =>
  tokenizer instanceof Tokenizer ? writeTokenizerJson(tokenizer.vocabulary) : writeWordPieceJson(tokenizer.vocabulary);

/** The tokenizer of a tokenizer.json. @throws {TokenizerError} it is of neither kind, or malformed. */
export function tokenizerOfText(text: string, name: string): TextTokenizer {
  const isWordPiece = /"type"\s*:\s*"WordPiece"\s*,\s*"(unk_token|vocab)"/.test(text);
  if (isWordPiece) return new WordPieceTokenizer(readWordPieceJson({ name, text }));
  return new Tokenizer(readTokenizerJson(text, name));
}

/** Files that transformers needs beside tokenizer.json. */
export function filesBeside(tokenizer: TextTokenizer): Readonly<Record<string, string>> {
  if (tokenizer instanceof Tokenizer) return { "tokenizer_config.json": writeTokenizerConfig(tokenizer.vocabulary) };
  const { vocabulary } = tokenizer;
  return { "tokenizer_config.json": writeWordPieceConfig(vocabulary), "vocab.txt": writeVocabTxt(vocabulary) };
}
