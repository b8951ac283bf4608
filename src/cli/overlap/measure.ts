import { UsageError } from "../../errors.js";
import { fileOverlap } from "../../evaluate/overlap/file-overlap.js";
import type { NgramFilter } from "../../evaluate/overlap/ngram-filter.js";
import {
  type ItemOverlap,
  OverlapMeter,
  type OverlapSummary,
  summarizeOverlap,
} from "../../evaluate/overlap/overlap.js";
import {
  checkSameItems,
  evaluationOverlap,
  type SplitMetric,
  sampleTexts,
  splitMetrics,
} from "../../evaluate/overlap/task-overlap.js";
import { type EvaluatedModel, prepareTask, type TaskResult } from "../../evaluate/run.js";
import { formatTaskSpec, type TaskSpec } from "../../evaluate/task.js";
import type { GPT2 } from "../../gpt2.js";
import { progress } from "../../util/progress.js";
import { dataSource, type EvaluationSession, openSession } from "../evaluation.js";
import { downloadLine, type ModelFlags, openNamedModel } from "../model.js";
import { progressMode } from "../options.js";

export interface OverlapFlags extends ModelFlags {
  readonly data?: string;
  readonly results?: string;
  readonly evaluate?: true;
  readonly threshold: number;
  readonly samples?: number;
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly seed: number;
  readonly limit?: number;
  readonly field: string;
  readonly splitOn?: string;
  readonly show: number;
  readonly progress?: true;
  readonly json?: true;
}

/** Overlap statistics of one set of texts. */
export interface OverlapSet extends OverlapSummary {
  /** A task with options, a file, or `samples`. */
  readonly name: string;
  readonly kind: "task" | "file" | "samples";
  /** Metrics split by overlap, of an evaluation with outcomes. */
  readonly metrics?: readonly SplitMetric[];
  readonly perItem: readonly ItemOverlap[];
}

type Shape = Pick<EvaluatedModel, "tokenizer" | "endOfText" | "config">;

/** Measures sets, one after another. A model, or its tokenizer, is loaded when the first set needs it. */
export class Measuring {
  readonly #filter: NgramFilter;
  readonly #flags: OverlapFlags;
  readonly #signal: AbortSignal;
  #session: Promise<EvaluationSession> | undefined;
  #shape: Promise<Shape> | undefined;

  constructor(filter: NgramFilter, flags: OverlapFlags, signal: AbortSignal) {
    this.#filter = filter;
    this.#flags = flags;
    this.#signal = signal;
  }

  /** Overlap of an evaluation, and of its metrics if there are outcomes. */
  async task(spec: TaskSpec, result?: TaskResult): Promise<OverlapSet> {
    const name = formatTaskSpec(spec);
    const done = this.#flags.evaluate ? await (await this.#openSession()).run(spec) : result;
    const downloads = downloadLine(this.#mode);
    const source = dataSource(this.#flags, this.#signal, downloads.onDownload);
    const evaluation = await prepareTask(await this.#modelShape(), spec, source).finally(() => downloads.end());
    if (done) checkSameItems(done, evaluation, spec.task.version);
    const limit = done ? done.outcomes.length : this.#flags.limit;
    const line = this.#line(name, "items");
    const onProgress = (items: number, total: number) => line(items, total);
    const overlaps = await evaluationOverlap(evaluation, this.#filter, {
      limit,
      signal: this.#signal,
      onProgress,
    }).finally(line.end);
    const metrics = done && splitMetrics(evaluation, done.outcomes, overlaps, this.#flags.threshold);
    return { name, kind: "task", ...summarizeOverlap(overlaps), ...(metrics && { metrics }), perItem: overlaps };
  }

  /** Overlap of the documents of a file or folder. */
  async file(path: string): Promise<OverlapSet> {
    const { field, splitOn } = this.#flags;
    const line = this.#line(path, "B");
    const perItem = await fileOverlap([path], this.#filter, {
      textField: field,
      separator: splitOn,
      signal: this.#signal,
      onProgress: (bytes, total) => line(bytes, total),
    }).finally(line.end);
    return { name: path, kind: "file", ...summarizeOverlap(perItem), perItem };
  }

  /** Overlap of samples that the model generates. */
  async samples(count: number): Promise<OverlapSet> {
    const { model } = await this.#openSession();
    const { maxTokens, temperature, topK, seed } = this.#flags;
    if (model.endOfText === undefined || model.tokenizer === undefined) {
      throw new UsageError({
        op: "--samples",
        expected: "a model with <|endoftext|>, with which texts begin",
        got: "none",
      });
    }
    const line = this.#line("samples", "tokens");
    const texts = await sampleTexts(model, {
      ...{ samples: count, maxNewTokens: maxTokens, temperature, topK, seed, signal: this.#signal },
      onProgress: (tokens, total) => line(tokens, total),
    }).finally(line.end);
    const meter = new OverlapMeter(this.#filter);
    const perItem = texts.map((text) => meter.measure([text]));
    return { name: "samples", kind: "samples", ...summarizeOverlap(perItem), perItem };
  }

  get #mode(): "plain" | "auto" {
    return progressMode(this.#flags);
  }

  #openSession(): Promise<EvaluationSession> {
    // --json prints here, and names no report.
    const { json: _, results: _results, ...flags } = this.#flags;
    this.#session ??= openSession(flags, this.#signal);
    return this.#session;
  }

  /** The tokenizer that items depend on. Weights are loaded only if outcomes are needed too. */
  async #modelShape(): Promise<Shape> {
    if (this.#session) return (await this.#session).model;
    this.#shape ??= this.#flags.evaluate ? this.#openSession().then(({ model }) => model) : this.#openShape();
    return this.#shape;
  }

  async #openShape(): Promise<Pick<GPT2, "tokenizer" | "endOfText" | "config">> {
    const { model, offline } = this.#flags;
    const checkpoint = await openNamedModel(model, { offline, signal: this.#signal });
    try {
      const { tokenizerOf } = await import("../../pretrained/tokenizer.js");
      const tokenizer = await tokenizerOf(checkpoint);
      return { config: checkpoint.config, tokenizer, endOfText: tokenizer?.endOfText ?? checkpoint.eosTokenIds?.[0] };
    } finally {
      checkpoint.close();
    }
  }

  /** A progress line. */
  #line(label: string, unit: string): { (done: number, total: number): void; readonly end: () => void } {
    const line = progress({ label, unit, mode: this.#mode });
    const update = (done: number, total: number) => {
      line.setTotal(total);
      line.update(done);
    };
    return Object.assign(update, { end: () => line.done() });
  }
}
