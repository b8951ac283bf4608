/** gpt2-ts/program: what is recorded and run, for those who write a backend or a model of their own. */
export * from "../program/ops.js";
export * from "../program/plan.js";
export * from "../program/program.js";
export * from "../program/prune.js";
