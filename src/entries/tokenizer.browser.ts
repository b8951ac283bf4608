/** gpt2-ts/tokenizer in a bundle for browsers: everything but files. */
export * from "../tokenizer/index.js";
