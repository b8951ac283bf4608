/** gpt2-ts/data: from text to token shards and examples, and back out as batches. */

export { type PrepareExamplesOptions, prepareExamples } from "../data/examples/prepare-examples.js";
export type { LinesProgress, PrepareLinesOptions } from "../data/examples/prepare-lines.js";
export type { CopiedInput, Input } from "../data/inputs.js";
export { openDataset } from "../data/open-dataset.js";
export { type PrepareOptions, prepareData } from "../data/prepare.js";
export type { TokenizerRecord } from "../data/read-info.js";
export type { TextTokenizer } from "../tokenizer/text-tokenizer.js";
export * from "./data.browser.js";
