/**
 * Byte-level BPE, GPT-2's or any other of its kind, and WordPiece, BERT's: everything that runs in a browser too. File
 * access is in ./files.ts and ./wordpiece/files.ts.
 */
export { TokenizerError } from "../errors.js";
export { gpt2Tokenizer } from "./gpt2.js";
export { type Gpt2Files, readGpt2Files, writeMergesTxt, writeVocabJson } from "./gpt2-files.js";
export { readLlmcTokenizer, writeLlmcTokenizer } from "./llmc-file.js";
export { pretokenize } from "./pretokenize.js";
export type { TextStream } from "./text-stream.js";
export type { StreamDecoder } from "./token-bytes.js";
export { type EncodeOptions, Tokenizer, type TokenizerOptions } from "./tokenizer.js";
export type { NamedText } from "./tokenizer-config.js";
export { type ReadText, readTokenizerFolder } from "./tokenizer-folder.js";
export { readTokenizerJson, writeTokenizerJson } from "./tokenizer-json.js";
export { type TrainTokenizerOptions, type TrainTokenizerProgress, trainTokenizer } from "./train.js";
export { type AddedToken, END_OF_TEXT, type Vocabulary, vocabularyFromMerges } from "./vocabulary.js";
export * from "./wordpiece/index.js";
