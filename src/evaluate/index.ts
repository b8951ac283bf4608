/**
 * `gpt2-ts/evaluate`: the paper's evaluations, the figures they reproduce, and the study of overlap with training text.
 * Everything here runs in a browser too; node.ts adds what works with files and threads.
 */
import { checkOptionNames } from "../util/nearest.js";
import { TASKS } from "./registry.js";
import { type EvaluatedModel, runTask, type TaskResult, type TaskRunOptions } from "./run.js";
import { parseTaskSpec } from "./task.js";

export type { GenerateUntilRequest, Generation, LogLikelihood, LogLikelihoodRequest } from "../generate/requests.js";
export { bunzip2 } from "./data/bzip2.js";
export { type DataSource, firstOf, type UsedFile } from "./data/source.js";
export { type BleuTokenization, bleuCounts, bleuScore, bleuSignature } from "./metrics/bleu.js";
export { type Interval, type Metric, type MetricResult, type MetricScale, measure } from "./metrics/metric.js";
export { type RougeScore, rougeL, rougeLsum, rougeN, rougeWords } from "./metrics/rouge.js";
export { countFalsePositives, describeFilter, type FilterFacts, type NgramFilter } from "./overlap/ngram-filter.js";
export {
  type ItemOverlap,
  measureOverlap,
  type OverlapSummary,
  type Passage,
  summarizeOverlap,
} from "./overlap/overlap.js";
export { evaluationOverlap, type SplitMetric, sampleTexts, splitMetrics } from "./overlap/task-overlap.js";
export { PAPER_FIGURES, PAPER_SIZES, type PaperFigure, type PaperSize, paperSize } from "./paper.js";
export { TASKS } from "./registry.js";
export { type Candidate, compareWithPaper, type FigureComparison, reproductionSpecs } from "./reproduce.js";
export {
  type EvaluatedModel,
  type Journal,
  prepareTask,
  type RunIdentity,
  runTask,
  type TaskResult,
  type TaskRunOptions,
} from "./run.js";
export {
  type Evaluation,
  formatTaskSpec,
  type Outcome,
  parseTaskSpec,
  type Task,
  type TaskOption,
  type TaskSetup,
  type TaskSpec,
} from "./task.js";
export { userFileTask } from "./tasks/user-file.js";

/**
 * Evaluates a model on a task, named with its options as on the command line: `lambada`, `wikitext-2:plain,stride=512`.
 *
 *     const { metrics } = await evaluate(model, "lambada", { source: folderSource("eval") });
 *
 * @throws {UsageError} there is no such task or option.
 * @throws {DataError} the data set is missing or malformed.
 * @throws {TokenizerError} the model has no tokenizer, or none with `<|endoftext|>`.
 */
export async function evaluate(model: EvaluatedModel, task: string, options: TaskRunOptions): Promise<TaskResult> {
  checkOptionNames("evaluate", options, {
    source: true,
    limit: true,
    signal: true,
    onProgress: true,
    journal: true,
  });
  return runTask(model, parseTaskSpec(task, TASKS), options);
}
