/** gpt2-ts/evaluate: the paper's evaluations and one's own, and how much of a text was in the training text. */
export * from "../evaluate/node.js";
export * from "./evaluate.browser.js";
