/** gpt2-ts/evaluate in a bundle for browsers: tasks and metrics over any source of data. */

export type { FetchedSourceOptions } from "../evaluate/data/node-sources.js";
export * from "../evaluate/index.js";
export type { BleuCounts } from "../evaluate/metrics/bleu.js";
export type { BootstrapOptions, MetricBase, SumMetric, WholeMetric } from "../evaluate/metrics/metric.js";
export type { TextCounts } from "../evaluate/overlap/batch-scanner.js";
export type { BloomFilter, BloomShape } from "../evaluate/overlap/bloom-filter.js";
export type { Quantiles } from "../evaluate/overlap/overlap.js";
export type { SampleTextsOptions, SamplingModel, TaskOverlapOptions } from "../evaluate/overlap/task-overlap.js";
export type { ItemText, Stretch } from "../evaluate/overlap/words.js";
export type { ReadReport } from "../evaluate/report-file.js";
export type { Answer, Request, RequestGenerator } from "../evaluate/requests.js";
export type { Json } from "../evaluate/task.js";
