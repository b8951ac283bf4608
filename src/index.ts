/** gpt2-ts: load or train any GPT-2, then generate, score and inspect. */
export type { Backend } from "./backend/backend.js";
export { type BackendChoice, type BackendOptions, chooseBackend } from "./backend/choose.js";
export {
  type Checkpoint,
  type CheckpointDescription,
  describeCheckpoint,
} from "./checkpoint/index.js";
export { openCheckpoint, type SaveOptions, saveCheckpoint } from "./checkpoint/node.js";
export * from "./errors.js";
export type { FinishReason, GeneratedToken } from "./generate/generate.js";
export type { LoadOptions } from "./generate/load.js";
export type { ModelParts } from "./generate/model-parts.js";
export type { GenerateOptions } from "./generate/options.js";
export type { SamplingOptions } from "./generate/sampling-options.js";
export { type Completion, GPT2, type Score, type ScoreOptions, type TextOrIds } from "./gpt2.js";
export { GPT2_PRESETS, type GPT2Config, type GPT2Preset, gpt2Config } from "./model/config.js";
export { parameterCount, type TensorSpec, tensorTable } from "./model/tensors.js";
export { gpt2Tokenizer, type StreamDecoder, Tokenizer } from "./tokenizer/index.js";
