/** gpt2-ts/tokenizer: byte-level BPE, GPT-2's or any other of its kind, and WordPiece, BERT's. */

export { loadTokenizer, saveLlmcTokenizer, saveTokenizer } from "../tokenizer/files.js";
export { loadWordPiece, saveWordPiece } from "../tokenizer/wordpiece/files.js";
export * from "./tokenizer.browser.js";
