/**
 * gpt2-ts/misuse: watermarks; how much a text looks like a model's; what a text has word for word from a corpus, and how
 * much of a corpus a model reproduces.
 */
export * from "../misuse/index.js";
