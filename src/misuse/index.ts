export {
  type BiasOptions,
  type BiasProbe,
  type BiasReport,
  type Difference,
  type ProbedModel,
  probeBias,
} from "./bias/probe.js";
export type { AboutModel, DataSource } from "./card/about.js";
export { type ModelFacts, modelCard } from "./card/card.js";
export {
  type CardResults,
  type FoundShares,
  gatherResults,
  type MeasuredShare,
  type Overlaps,
  type ResultFile,
  type SeparationRow,
  type WatermarkFigures,
} from "./card/results.js";
export {
  type ClassifierDetection,
  calibrateDetector,
  classifyText,
  type DetectorCalibration,
  type TextScorer,
} from "./classifier/detector.js";
export {
  type ClassifyingEncoder,
  type ClassifyingModel,
  type ClassifyingOptions,
  type EncoderLabel,
  HeadDetector,
  loadHeadCalibration,
  saveHeadCalibration,
  type TrainHeadOptions,
  trainHeadDetector,
} from "./classifier/head-detector.js";
export type { LogisticWeights } from "./classifier/logistic.js";
export { type LabelledText, type SplitTexts, splitTexts } from "./classifier/split-texts.js";
export { type SparseRow, Tfidf, type TfidfOptions } from "./classifier/tfidf.js";
export {
  loadTfidfDetector,
  saveTfidfDetector,
  TfidfDetector,
  type TrainDetectorOptions,
  type TrainedDetector,
  trainTfidfDetector,
} from "./classifier/tfidf-detector.js";
export {
  type CalibrateOptions,
  calibrateDetection,
  type DetectingModel,
  type DetectingOptions,
} from "./detect/calibrate.js";
export type { CalibratedLength, Calibration, Fingerprint } from "./detect/calibration.js";
export { CALIBRATION_FILE, loadCalibration, saveCalibration } from "./detect/calibration-file.js";
export type { Detection, Uncalibrated } from "./detect/detect.js";
export { type ReadDocumentsOptions, readDocuments } from "./detect/documents.js";
export { detectionHtml } from "./detect/picture/html.js";
export { detectionSvg } from "./detect/picture/svg.js";
export type { FalsePositives, SizedScores } from "./detect/rate-table.js";
export { SCORES, type ScoreName, type Scores } from "./detect/scores.js";
export type { TokenStatistics } from "./detect/token-statistics.js";
export {
  type ExtractableOptions,
  type ExtractableRate,
  type ExtractedModel,
  type ExtractionReport,
  measureExtractable,
} from "./extract/extractable.js";
export {
  RANKINGS,
  type RankedSample,
  type Ranking,
  type RankingModel,
  type RankSamplesOptions,
  rankSamples,
  type SampleRankings,
} from "./extract/rank-samples.js";
export { type BuildIndexOptions, type BuildIndexProgress, buildIndex } from "./trace/build-index.js";
export type { IndexedFile, IndexInfo } from "./trace/index-info.js";
export { LiveTrace, type TracedGeneration, type TracedToken, traceGeneration } from "./trace/live-trace.js";
export { type Match, type SuffixIndex, SuffixSearch } from "./trace/search.js";
export { suffixArray } from "./trace/suffix-array.js";
export { type IndexedDocument, openIndexFor, TokenIndex } from "./trace/token-index.js";
export { type Place, type Trace, type TracedSpan, type TraceOptions, traceText } from "./trace/trace.js";
export * from "./watermark/index.js";
