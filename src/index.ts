/** gpt2-ts: generate and score text with a GPT-2. Everything here runs in a browser too; what needs Node is in node.ts. */

export { GPT2_PRESETS, type GPT2Config, type GPT2Preset, gpt2Config } from "./architectures/gpt2/config.js";
export { parameterCount, type TensorSpec, tensorTable } from "./architectures/gpt2/tensors.js";
export { type InitOptions, initialTensors } from "./architectures/init.js";
export type { Backend, DeviceArray, Executable } from "./backend/backend.js";
export { type ReferenceOptions, referenceBackend } from "./backend/reference/index.js";
export { type WasmBackend, type WasmOptions, type WasmPlace, wasmBackend } from "./backend/wasm/index.js";
export {
  type ChatTemplate,
  type ExampleRecord,
  type FieldsTemplate,
  renderPrompt,
  TEMPLATES,
  type Template,
} from "./data/examples/template.js";
export * from "./errors.js";
export { type DataSource, firstOf } from "./evaluate/data/source.js";
export { evaluate } from "./evaluate/index.js";
export type { MetricResult } from "./evaluate/metrics/metric.js";
export { describeFilter, type FilterFacts, type NgramFilter } from "./evaluate/overlap/ngram-filter.js";
export {
  type ItemOverlap,
  measureOverlap,
  type OverlapSummary,
  type Passage,
  summarizeOverlap,
} from "./evaluate/overlap/overlap.js";
export type { EvaluatedModel, TaskResult, TaskRunOptions } from "./evaluate/run.js";
export type { Classification, LabelScore } from "./generate/classify.js";
export type { Pooling } from "./generate/encoder.js";
export type { FinishReason, GeneratedToken } from "./generate/generate.js";
export type { GenerateOptions } from "./generate/options.js";
export type { GenerateUntilRequest, Generation, LogLikelihood, LogLikelihoodRequest } from "./generate/requests.js";
export {
  type Completion,
  type EmbedOptions,
  GPT2,
  type ReadOptions,
  type Score,
  type ScoreOptions,
  type TextOrIds,
} from "./gpt2.js";
export type { FetchModelOptions } from "./pretrained/fetch.js";
export { type Checkpoint, type CheckpointDescription, describeCheckpoint } from "./pretrained/index.js";
export type { LoadOptions } from "./pretrained/load.js";
export type { ModelParts } from "./pretrained/model-parts.js";
export type { SamplingOptions } from "./pretrained/sampling-options.js";
export { loadWeights } from "./pretrained/weights.js";
export type { AnswerOptions } from "./tasks/answer.js";
export type { CandidateScore, Choice, ChooseOptions } from "./tasks/choose.js";
export type { LabelChoice, LabelOptions } from "./tasks/classify.js";
export type { CompleteOptions } from "./tasks/complete.js";
export type { Omitted } from "./tasks/fit-prompt.js";
export type { Pair } from "./tasks/pairs.js";
export type { Normalization } from "./tasks/scored-choice.js";
export type { SummarizeOptions } from "./tasks/summarize.js";
export type { Tasks } from "./tasks/tasks.js";
export type { TranslateOptions } from "./tasks/translate.js";
export type { TaskOptions, TaskOutput, WritingOptions } from "./tasks/write.js";
export {
  type EncodeOptions,
  gpt2Tokenizer,
  type StreamDecoder,
  Tokenizer,
  type TrainTokenizerOptions,
  trainTokenizer,
} from "./tokenizer/index.js";
