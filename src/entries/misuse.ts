/** gpt2-ts/misuse: what a text has word for word from a corpus, and how much of a corpus a model reproduces. Node only. */
export * from "../misuse/index.js";
