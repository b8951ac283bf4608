/** gpt2-ts/checkpoint in a bundle for browsers: models in memory or behind any ByteSource. */

export { parameterCount, type TensorSpec, tensorTable } from "../architectures/gpt2/tensors.js";
export { type InitOptions, initialTensors } from "../architectures/init.js";
export * from "../pretrained/index.js";
export type { ModelParts } from "../pretrained/model-parts.js";
export type { SamplingOptions, SamplingSettings } from "../pretrained/sampling-options.js";
export { loadWeights } from "../pretrained/weights.js";
