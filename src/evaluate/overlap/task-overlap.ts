import { DataError } from "../../errors.js";
import type { GeneratedToken } from "../../generate/generate.js";
import type { GenerateOptions } from "../../generate/options.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import { checkOptionNames } from "../../util/nearest.js";
import { type MetricResult, measure } from "../metrics/metric.js";
import { BOOTSTRAP_SEED, type TaskResult } from "../run.js";
import type { Evaluation, Outcome } from "../task.js";
import type { NgramFilter } from "./ngram-filter.js";
import { type ItemOverlap, OverlapMeter, overlapShare } from "./overlap.js";

export interface TaskOverlapOptions {
  /** Only the first items. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of items done, and in all. */
  readonly onProgress?: ((done: number, items: number) => void) | undefined;
}

/** Items between two turns of the event loop. */
const STEP = 64;

/** Overlap statistics of each item of an evaluation. */
export async function evaluationOverlap(
  evaluation: Evaluation,
  filter: NgramFilter,
  options: TaskOverlapOptions = {},
): Promise<ItemOverlap[]> {
  checkOptionNames("overlap of an evaluation", options, { limit: true, signal: true, onProgress: true });
  const { limit, signal, onProgress } = options;
  const items = Math.min(limit ?? evaluation.items, evaluation.items);
  const meter = new OverlapMeter(filter);
  const overlaps: ItemOverlap[] = [];
  while (overlaps.length < items) {
    overlaps.push(meter.measure(evaluation.texts(overlaps.length)));
    if (overlaps.length % STEP !== 0 && overlaps.length < items) continue;
    onProgress?.(overlaps.length, items);
    await yieldToEventLoop();
    signal?.throwIfAborted();
  }
  return overlaps;
}

/** A metric over all items, over items with overlap up to a threshold, and over items above it. */
export interface SplitMetric {
  readonly name: string;
  readonly all: MetricResult;
  readonly without: MetricResult;
  readonly overlapping: MetricResult;
}

/**
 * An evaluation's metrics without items whose overlap is above `threshold`, and on those items alone.
 *
 * @param outcomes of the first items
 */
export function splitMetrics(
  { metrics }: Pick<Evaluation, "metrics">,
  outcomes: readonly Outcome[],
  overlaps: readonly ItemOverlap[],
  threshold = 0,
): SplitMetric[] {
  const overlapping = outcomes.map((_, i) => overlapShare(overlaps[i]!) > threshold);
  const groups = [outcomes, outcomes.filter((_, i) => !overlapping[i]), outcomes.filter((_, i) => overlapping[i])];
  return metrics.map((metric) => {
    const [all, without, over] = groups.map((group) => measure(metric, group, { seed: BOOTSTRAP_SEED }));
    return { name: metric.name, all: all!, without: without!, overlapping: over! };
  });
}

/**
 * Checks that a result has the same items, which outcomes refer to by position.
 *
 * @throws {DataError} it is of other data, another version of the task, or items cut otherwise.
 */
export function checkSameItems(result: TaskResult, evaluation: Evaluation, version: number): void {
  const refuse = (what: string, expected: string | number, got: string | number, hint: string) =>
    new DataError({ op: `${result.spec}: ${what}`, expected: `${expected}`, got: `${got}`, hint });
  if (result.version !== version) {
    throw refuse("version of the task", version, result.version, "Re-evaluate the model");
  }
  for (const [i, { path, sha256 }] of evaluation.files.entries()) {
    const theirs = result.files[i]?.sha256 ?? "none";
    if (theirs !== sha256) throw refuse(`SHA-256 of ${path}`, theirs, sha256, "The evaluation read another file");
  }
  if (result.ofItems !== evaluation.items) {
    const hint = "Items may depend on the model's tokenizer and context: take the same model";
    throw refuse("items", result.ofItems, evaluation.items, hint);
  }
}

/** A model that generates samples, such as {@link GPT2}. */
export interface SamplingModel {
  generate(prompt: string, options: GenerateOptions): AsyncIterable<GeneratedToken>;
}

export interface SampleTextsOptions extends Omit<GenerateOptions, "samples"> {
  readonly samples: number;
  readonly maxNewTokens: number;
  readonly seed: number;
  /** Called with the number of tokens so far, and at most. */
  readonly onProgress?: ((tokens: number, total: number) => void) | undefined;
}

/** Samples generated side by side. */
const GROUP = 32;

/**
 * Samples that a model generates without a prompt. Group g is what `samples: 32, seed: seed + g` gives, so that any sample
 * can be generated again.
 */
export async function sampleTexts(
  model: SamplingModel,
  { samples, seed, onProgress, ...options }: SampleTextsOptions,
): Promise<string[]> {
  const texts: string[] = [];
  let tokens = 0;
  for (let group = 0; texts.length < samples; group++) {
    const some = new Array<string>(Math.min(GROUP, samples - texts.length)).fill("");
    for await (const { sample, text } of model.generate("", {
      ...options,
      samples: some.length,
      seed: seed + group,
    })) {
      some[sample] += text;
      onProgress?.(++tokens, samples * options.maxNewTokens);
    }
    texts.push(...some);
  }
  return texts;
}
