/**
 * gpt2-ts: load a GPT-2, generate, score and embed text with it; or a BERT, which reads whole texts. The rest stands behind subpaths, such as `gpt2-ts/train`:
 * see package.json, `exports`, and src/entries.
 */
export type { Pooling } from "./architectures/architecture.js";
export { BERT_PRESETS, type BertConfig, bertConfig } from "./architectures/bert/config.js";
export type { ModelConfig } from "./architectures/config.js";
export type { ComputeOptions } from "./architectures/decode-program.js";
export {
  type AttentionType,
  GPT_NEO_PRESETS,
  type GPTNeoConfig,
  gptNeoConfig,
} from "./architectures/gpt-neo/config.js";
export { GPT2_PRESETS, type GPT2Config, type GPT2Preset, gpt2Config } from "./architectures/gpt2/config.js";
export type { TaskHead } from "./architectures/task-head.js";
export type { BackendChoice } from "./backend/choose.js";
export type { LikelihoodMetric } from "./bert/likelihood.js";
export type {
  Aggregation,
  AnswerSpan,
  AnswerSpanOptions,
  BertEmbedOptions,
  BertReadOptions,
  BertRunOptions,
  BertScore,
  BertScoreOptions,
  BestAnswers,
  BestAnswersOptions,
  ClassifyTextOptions,
  FilledMask,
  FillMaskOptions,
  QuestionInput,
  TextInput,
  TextLabel,
  TextPair,
  TokenLabel,
  TokensOptions,
} from "./bert/options.js";
export { BERT } from "./bert.js";
export { type BlankCandidate, type CompareOptions, type Comparison, compare, type Reading } from "./compare/compare.js";
export type { WhiteSpace } from "./constrain/json-schema/white-space.js";
export type { ConstraintOptions } from "./constrain/options.js";
export type { CacheType, DType, WeightType } from "./dtype/dtype.js";
export * from "./errors.js";
export type { AttentionMaps } from "./generate/attention-maps.js";
export type { BeamLimits, BeamOptions } from "./generate/beam/options.js";
export type { BeamResult } from "./generate/beam/run.js";
export type { Classification, LabelScore } from "./generate/classify.js";
export type { Alternative, DraftCounts, FinishReason, GeneratedToken } from "./generate/generate.js";
export type { GenerateOptions } from "./generate/options.js";
export type {
  GenerateUntilRequest,
  Generation,
  LogLikelihood,
  LogLikelihoodRequest,
  RunOptions,
} from "./generate/requests.js";
export type { MoreSamplingOptions, SamplerStep } from "./generate/sampling/options.js";
export type { SchedulerOptions } from "./generate/scheduler.js";
export type { ContextScope } from "./generate/watermark/contexts.js";
export type { WatermarkKey } from "./generate/watermark/key.js";
export type {
  DualKeyGumbelOptions,
  GumbelOptions,
  HfKgwOptions,
  HfSynthIdOptions,
  KeyedOptions,
  RedGreenOptions,
  SynthIdOptions,
  WatermarkOptions,
  WatermarkScheme,
} from "./generate/watermark/options.js";
export type { GeneratingModel } from "./gpt2/generating-model.js";
export type {
  Completion,
  CompletionsOptions,
  DetectOptions,
  LogitsOptions,
  RequestOptions,
  Score,
  ScoreOptions,
  TextOptions,
} from "./gpt2/options.js";
export type { ScoringModel } from "./gpt2/scoring-model.js";
export { GPT2, type ScheduleOption } from "./gpt2.js";
export type { CalibratedLength, Calibration, Fingerprint } from "./misuse/detect/calibration.js";
export type { Detection, Uncalibrated } from "./misuse/detect/detect.js";
export type { FalsePositives } from "./misuse/detect/rate-table.js";
export type { ScoreName, Scores } from "./misuse/detect/scores.js";
export type { TokenStatistics } from "./misuse/detect/token-statistics.js";
export type { VerifyWatermarkOptions, WatermarkReport } from "./misuse/watermark/verify.js";
export type { LoadedModel } from "./model/loaded-model.js";
export type { AdapterOption, EmbedOptions, ReadOptions, TextOrIds } from "./model/options.js";
export type { TextIds } from "./model/text-ids.js";
export type { FetchModelOptions } from "./pretrained/fetch.js";
export type { FetchBertOptions } from "./pretrained/fetch-bert.js";
export type { LoadOptions } from "./pretrained/load.js";
export type { BertParts, LoadBertOptions } from "./pretrained/load-bert.js";
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
export type { PromptedModel, TaskOptions, TaskOutput, WritingOptions } from "./tasks/write.js";
export type { TokenPair } from "./tokenizer/encode-pair.js";
export type { EncoderTokenizer } from "./tokenizer/encoder-tokenizer.js";
