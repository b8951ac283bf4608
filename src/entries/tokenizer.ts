/** gpt2-ts/tokenizer: byte-level BPE, GPT-2's or one's own. */

export { loadTokenizer, saveLlmcTokenizer, saveTokenizer } from "../tokenizer/files.js";
export * from "./tokenizer.browser.js";
