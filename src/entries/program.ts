/** gpt2-ts/program: what is recorded and run, for those who write a backend or a model of their own. */

export type { Activation, ActivationOrNone } from "../program/activations.js";
export type { KernelPath } from "../program/kernel-paths.js";
export type { IndexRange, NumberSpec, OpSpec, OpTensor } from "../program/op-spec.js";
export * from "../program/ops.js";
export * from "../program/plan.js";
export * from "../program/program.js";
export * from "../program/prune.js";
