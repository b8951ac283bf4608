/// <reference lib="esnext.disposable" preserve="true" />

import { checkScheduling, type SchedulerOptions } from "./generate/scheduler.js";
import { ScoringModel } from "./gpt2/scoring-model.js";
import type { FetchModelOptions } from "./pretrained/fetch.js";
import type { LoadOptions } from "./pretrained/load.js";
import { Tasks } from "./tasks/tasks.js";
import { needNode } from "./util/runtime.js";

export interface ScheduleOption {
  /** Scheduling: the number of requests computed together, and the cache for later ones. */
  readonly scheduling?: SchedulerOptions | undefined;
}

/**
 * A language model that generates and scores text: a GPT-2 or a GPT-Neo. Calls may overlap; each has its own sequences.
 *
 *     const model = await GPT2.load("path/to/model");
 *     for await (const { text } of model.generate("Once upon a time")) process.stdout.write(text);
 *
 * | to see | open |
 * |---|---|
 * | the network: attention, MLP, residual stream | architectures/pre-norm/forward.ts |
 * | its sizes and its tensors | architectures/gpt2/config.ts, tensors.ts |
 * | the loop that samples token after token | generate/generate.ts |
 * | from a name to weights in memory | pretrained/load.ts |
 * | `generate`, `complete`, `completions`, `beamSearch`, `generateUntil` | gpt2/generating-model.ts |
 * | `score`, `logits`, `logLikelihoods`, `choose`, `detect`, `verifyWatermark` | gpt2/scoring-model.ts |
 * | `embed`, `classify`, `regress`, `attention`, adapters, `dispose` | model/loaded-model.ts |
 */
export class GPT2 extends ScoringModel {
  /**
   * Loads a model by name: a folder or file of any format, a preset such as `gpt2-medium`, or a model of the Hugging Face
   * hub, fetched into its cache (docs/models.md). Default: the model that comes with the package.
   *
   * @throws {CheckpointError} there is no such model, or it is malformed.
   * @throws {DownloadError} it can't be fetched.
   * @throws {BackendError} the requested backend is not available.
   * @throws {UsageError} there are no files, as in a browser. Use {@link GPT2.fetch} there.
   */
  static async load(name?: string, { scheduling, ...options }: LoadOptions & ScheduleOption = {}): Promise<GPT2> {
    needNode("GPT2.load", 'In a page: await GPT2.fetch("models/mine/"), from your server or the hub');
    if (scheduling) checkScheduling(scheduling);
    const { loadModel } = await import("#node/pretrained/load.js");
    return new GPT2(await loadModel(name, options), scheduling);
  }

  /**
   * Fetches a model into memory, without files, as in a browser: from the address of a folder (`models/tiny/`) or file, or by
   * the name of a preset or a model of the hub.
   *
   * @throws {DownloadError} a file can't be fetched.
   * @throws {CheckpointError} there is no such model, or it is malformed.
   */
  static async fetch(name: string, options: FetchModelOptions = {}): Promise<GPT2> {
    const { fetchModelParts } = await import("./pretrained/fetch.js");
    return new GPT2(await fetchModelParts(name, options));
  }

  /** Tasks stated by a prompt: `model.task.translate("…", { to: "fr" })`, summarize, answer, complete, classify. */
  get task(): Tasks {
    return new Tasks(this);
  }
}
