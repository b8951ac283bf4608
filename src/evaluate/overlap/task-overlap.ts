import { DataError } from "../../errors.js";
import type { GeneratedToken } from "../../generate/generate.js";
import type { GenerateOptions } from "../../generate/options.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import { type MetricResult, measure } from "../metrics/metric.js";
import { BOOTSTRAP_SEED, type TaskResult } from "../run.js";
import type { Evaluation, Outcome } from "../task.js";
import type { NgramFilter } from "./ngram-filter.js";
import { type ItemOverlap, OverlapMeter, overlapShare } from "./overlap.js";

export interface TaskOverlapOptions {
  /** Only the first so many items. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how many items are done, of how many. */
  readonly onProgress?: ((done: number, items: number) => void) | undefined;
}

/** Items between two looks at the event loop. */
const STEP = 64;

/** What of each item of an evaluation is in the filter. */
export async function evaluationOverlap(
  evaluation: Evaluation,
  filter: NgramFilter,
  { limit, signal, onProgress }: TaskOverlapOptions = {},
): Promise<ItemOverlap[]> {
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

/** A metric over all items, over those that overlap no more than a threshold, and over those that overlap more. */
export interface SplitMetric {
  readonly name: string;
  readonly all: MetricResult;
  readonly without: MetricResult;
  readonly overlapping: MetricResult;
}

/**
 * The evaluation's metrics without the items of which more than the share `threshold` was found, and of those alone.
 *
 * @param outcomes of the first items.
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
 * Makes sure that a result from elsewhere is of these items: its outcomes are told apart by their place alone.
 *
 * @throws {DataError} it is of other data, another version of the task, or items cut otherwise.
 */
export function checkSameItems(result: TaskResult, evaluation: Evaluation, version: number): void {
  const refuse = (what: string, expected: string | number, got: string | number, hint: string) =>
    new DataError({ op: `${result.spec}: ${what}`, expected: `${expected}`, got: `${got}`, hint });
  if (result.version !== version) {
    throw refuse("version of the task", version, result.version, "Evaluate the model again");
  }
  for (const [i, { path, sha256 }] of evaluation.files.entries()) {
    const theirs = result.files[i]?.sha256 ?? "none";
    if (theirs !== sha256) throw refuse(`SHA-256 of ${path}`, theirs, sha256, "The evaluation was of another file");
  }
  if (result.ofItems !== evaluation.items) {
    const hint = "Items may depend on the model's tokenizer and context: name it with --model";
    throw refuse("items", result.ofItems, evaluation.items, hint);
  }
}

/** What writes samples; {@link GPT2} does. */
export interface SamplingModel {
  generate(prompt: string, options: GenerateOptions): AsyncIterable<GeneratedToken>;
}

export interface SampleTextsOptions extends Omit<GenerateOptions, "samples"> {
  readonly samples: number;
  readonly maxNewTokens: number;
  readonly seed: number;
  /** Told how many tokens there are, of at most how many. */
  readonly onProgress?: ((tokens: number, total: number) => void) | undefined;
}

/** Texts that are written side by side. */
const GROUP = 32;

/**
 * Texts that a model writes without a prompt. The group of samples number g is what `samples: 32, seed: seed + g` gives,
 * so that any of them can be had again.
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
