/** Byte-level BPE, GPT-2's or one's own: everything that runs in a browser too. File access is in ./files.ts. */
export { TokenizerError } from "../errors.js";
export { gpt2Tokenizer } from "./gpt2.js";
export { type Gpt2Files, readGpt2Files, writeMergesTxt, writeVocabJson } from "./gpt2-files.js";
export { readLlmcTokenizer, writeLlmcTokenizer } from "./llmc-file.js";
export { pretokenize } from "./pretokenize.js";
export type { StreamDecoder } from "./token-bytes.js";
export { type EncodeOptions, Tokenizer } from "./tokenizer.js";
export { readTokenizerJson, writeTokenizerJson } from "./tokenizer-json.js";
export { type TrainTokenizerOptions, type TrainTokenizerProgress, trainTokenizer } from "./train.js";
export { END_OF_TEXT, type Vocabulary, vocabularyFromMerges } from "./vocabulary.js";
