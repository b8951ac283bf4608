/** gpt2-ts/evaluate in a bundle for browsers: tasks and metrics over any source of data. */
export * from "../evaluate/index.js";
