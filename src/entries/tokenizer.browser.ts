/** gpt2-ts/tokenizer in a bundle for browsers: everything but files. */
export * from "../tokenizer/index.js";
export type { TokenBytes } from "../tokenizer/token-bytes.js";
export type { TokenizerOptions } from "../tokenizer/tokenizer.js";
export type { AddedToken } from "../tokenizer/vocabulary.js";
