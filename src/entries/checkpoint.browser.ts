/** gpt2-ts/checkpoint in a bundle for browsers: models in memory or behind any ByteSource. */

export type { ModelConfig } from "../architectures/config.js";
export { type InitOptions, initialTensors } from "../architectures/init.js";
export { parameterCount, tensorTable } from "../architectures/registry.js";
export type { TensorSpec } from "../architectures/tensor-spec.js";
export * from "../pretrained/index.js";
export type { ModelParts } from "../pretrained/model-parts.js";
export type { SamplingOptions, SamplingSettings } from "../pretrained/sampling-options.js";
export { loadWeights } from "../pretrained/weights.js";
