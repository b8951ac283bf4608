import { existsSync, statSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Backend } from "../backend/backend.js";
import type { TokenDataset } from "../data/dataset.js";
import { readDatasetInfo } from "../data/dataset-info.js";
import { EpochOrder } from "../data/epoch-order.js";
import { findShards, openDataset } from "../data/open-dataset.js";
import { DataError, GPT2Error, UsageError } from "../errors.js";
import type { GPT2Config } from "../model/config.js";
import { initialTensors } from "../model/init.js";
import { parameterCount } from "../model/tensors.js";
import { deriveKey } from "../util/random.js";
import type { TrainEvent } from "./events.js";
import { availableMemory, checkMemory, type TrainMemory, trainMemory } from "./memory.js";
import { ModelTrainer, trainFlopsPerToken } from "./model-trainer.js";
import {
  checkpointConfig,
  checkpointName,
  listCheckpoints,
  loadParameters,
  pruneCheckpoints,
  type RunState,
  readRunState,
  restoreRun,
  saveModel,
  saveRun,
} from "./run-checkpoint.js";
import { accumulation, type TrainSettings, trainSettings } from "./settings.js";

export interface TrainerOptions {
  readonly backend: Backend;
  /** A folder made by `gpt2 data`, a shard, or a pattern of shards. */
  readonly data: string;
  /** The run's folder: checkpoints, and the finished model in `model/`. */
  readonly out: string;
  /** The model's shape; or start from the weights of `from`. */
  readonly config?: GPT2Config;
  /** A model to start from. */
  readonly from?: string;
  readonly settings?: Partial<TrainSettings>;
  /** Largest memory the run may plan, in bytes; by default what the machine has free. */
  readonly memoryLimit?: number;
  /** The backend's peak, FLOP/s, for the utilisation; not reported without it. */
  readonly peakFlops?: number | undefined;
  /** Continues the run in `out` from its newest checkpoint (with the settings it was started with, but for `steps`). */
  readonly resume?: boolean;
  /** Called with the model as it is when a sample is due; returns the text to report. */
  readonly sample?: (trainer: ModelTrainer, step: number) => Promise<string>;
}

/** The epoch order's random stream. */
const ORDER_LABEL = 0x64617461;

/**
 * Trains a GPT-2. Iterate `run()` for its events:
 *
 *     const trainer = await Trainer.create({ backend, data: "data/", out: "runs/a", config });
 *     for await (const event of trainer.run()) if (event.type === "step") console.log(event.step, event.loss);
 *
 * The same seed and settings give the same bits, whatever the number of threads and however often the run was broken off
 * and resumed.
 */
export class Trainer {
  readonly config: GPT2Config;
  readonly settings: TrainSettings;
  readonly model: ModelTrainer;
  readonly memory: TrainMemory;
  readonly #options: TrainerOptions;
  readonly #train: TokenDataset;
  readonly #val: TokenDataset | undefined;
  readonly #order: EpochOrder;
  /** Bits per byte for one nat per token, on the validation set. */
  readonly #bpbPerNat: number | undefined;
  #step = 0;
  #seconds = 0;
  #best: RunState["best"];

  private constructor(options: TrainerOptions, config: GPT2Config, settings: TrainSettings, state: RunState | undefined) {
    this.#options = options;
    this.config = config;
    this.settings = settings;
    this.memory = trainMemory(config, settings);
    checkMemory(this.memory, options.memoryLimit ?? availableMemory());
    const { data } = options;
    const vocab = { vocabSize: config.vocabSize };
    this.#train = openDataset(data, { split: "train", ...vocab });
    const hasVal = settings.valEvery > 0 && isFolder(data) && findShards(data, "val").length > 0;
    this.#val = hasVal ? openDataset(data, { split: "val", ...vocab }) : undefined;
    if (state && state.dataTokens !== this.#train.totalTokens) {
      const op = `resuming with ${data}`;
      throw new DataError({ op, expected: `the ${state.dataTokens} tokens of before`, got: `${this.#train.totalTokens}` });
    }
    const val = isFolder(data) ? readDatasetInfo(data)?.splits.val : undefined;
    if (val && val.bytes > 0) this.#bpbPerNat = val.tokens / val.bytes / Math.LN2;
    this.#order = new EpochOrder(this.#train.totalTokens, settings.seqLength, deriveKey(settings.seed, ORDER_LABEL));
    this.model = new ModelTrainer(options.backend, config, settings);
    if (state) {
      this.#step = state.step;
      this.#seconds = state.seconds;
      this.#best = state.best;
    }
  }

  /**
   * Plans the memory, opens the data, and makes, loads or restores the model.
   *
   * @throws {OutOfMemoryError} the plan does not fit; {@link DataError}, {@link CheckpointError}, {@link UsageError}.
   */
  static async create(options: TrainerOptions): Promise<Trainer> {
    const runs = join(options.out, "checkpoints");
    const newest = (await listCheckpoints(runs)).at(-1);
    if (options.resume) {
      if (newest === undefined) {
        throw new UsageError({ op: `resuming ${options.out}`, expected: "a checkpoint there", got: "none" });
      }
      const path = join(runs, checkpointName(newest));
      const state = await readRunState(path);
      const settings = trainSettings({ ...state.settings, ...pick(options.settings, RESUMABLE) });
      const trainer = new Trainer(options, await checkpointConfig(path), settings, state);
      await restoreRun(path, trainer.model);
      return trainer;
    }
    if (newest !== undefined) {
      const hint = "Continue it with --resume, or choose another folder";
      throw new UsageError({ op: `training into ${options.out}`, expected: "no run there", got: `one at step ${newest}`, hint });
    }
    const config = options.from ? await checkpointConfig(options.from) : options.config;
    if (!config) throw new UsageError({ op: "training", expected: "a configuration, or a model to start from", got: "neither" });
    const settings = trainSettings({ ...options.settings, seqLength: options.settings?.seqLength ?? config.nCtx });
    if (settings.seqLength > config.nCtx) {
      throw new UsageError({ op: "training: seqLength", expected: `at most the context, ${config.nCtx}`, got: `${settings.seqLength}` });
    }
    const trainer = new Trainer(options, config, settings, undefined);
    if (options.from) await loadParameters(options.from, trainer.model);
    else for (const [name, values] of initialTensors(config, settings)) trainer.model.parameter(name).write(values);
    return trainer;
  }

  /** Optimizer steps done. */
  get step(): number {
    return this.#step;
  }

  /** Trains to the last step, or until the signal: then the checkpoint is saved and the run can be resumed. */
  async *run(signal?: AbortSignal): AsyncGenerator<TrainEvent, void, void> {
    const { settings } = this;
    await mkdir(this.#options.out, { recursive: true });
    const tokens = this.#train.totalTokens;
    const resumedFrom = this.#step > 0 ? this.#step : undefined;
    yield {
      type: "start",
      step: this.#step,
      resumedFrom,
      config: this.config,
      parameters: parameterCount(this.config),
      settings,
      memory: this.memory,
      trainTokens: tokens,
      backend: this.#options.backend.description,
      epochs: (settings.steps * settings.batchTokens) / tokens,
    };
    let saved = this.#step;
    while (this.#step < settings.steps && !signal?.aborted) {
      yield await this.#trainStep();
      const done = this.#step;
      const last = done === settings.steps;
      const due = (every: number): boolean => every > 0 && (done % every === 0 || last);
      if (this.#val && due(settings.valEvery)) yield* this.#validate(signal);
      if (this.#options.sample && due(settings.sampleEvery)) {
        yield { type: "sample", step: done, text: await this.#options.sample(this.model, done) };
      }
      if (due(settings.saveEvery)) {
        yield await this.#save();
        saved = done;
      }
    }
    if (saved !== this.#step) yield await this.#save();
    const finished = this.#step >= settings.steps;
    const model = join(this.#options.out, "model");
    if (finished) {
      await saveModel(model, this.model, "f32");
      const tokenizer = this.#tokenizerFile();
      if (tokenizer) await copyFile(tokenizer, join(model, "tokenizer.json"));
    }
    yield { type: "end", step: this.#step, finished, seconds: this.#seconds, ...(finished && { model }) };
  }

  async #trainStep(): Promise<TrainEvent> {
    const { settings } = this;
    const { batchSize: B, seqLength: T, batchTokens } = settings;
    const start = performance.now();
    const step = this.#step;
    const result = await this.model.step(step, (pass, tokens, targets) =>
      this.#train.fillBatch(pass * B, B, T, tokens, targets, this.#order),
    );
    if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradNorm)) {
      throw new GPT2Error({
        op: `training step ${step}`,
        expected: "a finite loss and gradient",
        got: `loss ${result.loss}, gradient norm ${result.gradNorm}`,
        hint: "Lower the learning rate; the last checkpoint is from before this step",
      });
    }
    const seconds = (performance.now() - start) / 1000;
    this.#step++;
    this.#seconds += seconds;
    const tokensPerSecond = batchTokens / seconds;
    const peak = this.#options.peakFlops;
    const utilization = peak ? (tokensPerSecond * trainFlopsPerToken(this.config, T)) / peak : undefined;
    return { type: "step", step: this.#step, ...result, tokens: this.#step * batchTokens, seconds, tokensPerSecond, utilization };
  }

  async *#validate(signal?: AbortSignal): AsyncGenerator<TrainEvent, void, void> {
    const { batchSize: B, seqLength: T, valBatches } = this.settings;
    const val = this.#val!;
    const all = Math.ceil(val.windows(T) / B);
    const batches = valBatches > 0 ? Math.min(valBatches, all) : all;
    const fill = (pass: number, tokens: Int32Array, targets: Int32Array) => val.fillBatch(pass * B, B, T, tokens, targets);
    const { loss, tokens } = await this.model.evaluate(batches, fill, signal);
    if (signal?.aborted) return;
    const best = this.#best === undefined || loss < this.#best.loss;
    if (best) this.#best = { step: this.#step, loss };
    const bitsPerByte = this.#bpbPerNat === undefined ? undefined : loss * this.#bpbPerNat;
    yield { type: "validation", step: this.#step, loss, tokens, bitsPerByte, best };
    // The best model is kept: save it now unless it is about to be saved anyway.
    if (best && this.#step % this.settings.saveEvery !== 0 && this.#step !== this.settings.steps) yield await this.#save();
  }

  async #save(): Promise<TrainEvent> {
    const folder = join(this.#options.out, "checkpoints");
    const path = join(folder, checkpointName(this.#step));
    await mkdir(folder, { recursive: true });
    const state: RunState = {
      format: "gpt2-ts training run",
      version: 1,
      step: this.#step,
      settings: this.settings,
      data: resolve(this.#options.data),
      dataTokens: this.#train.totalTokens,
      best: this.#best,
      seconds: this.#seconds,
    };
    await saveRun(path, this.model, state, this.#tokenizerFile());
    await pruneCheckpoints(folder, this.settings.keep, this.#best?.step);
    return { type: "checkpoint", step: this.#step, path, best: this.#best?.step === this.#step };
  }

  /** The tokenizer of the data, which goes with every model made from it. */
  #tokenizerFile(): string | undefined {
    const file = join(this.#options.data, "tokenizer.json");
    return existsSync(file) ? file : undefined;
  }

  /** Passes in one step. */
  get accumulation(): number {
    return accumulation(this.settings);
  }
}

/** What a resumed run may change. */
const RESUMABLE = ["steps", "valEvery", "valBatches", "sampleEvery", "sampleTokens", "saveEvery", "keep"] as const;

function pick<T extends object, K extends keyof T>(from: T | undefined, keys: readonly K[]): Partial<Pick<T, K>> {
  const picked: Partial<Pick<T, K>> = {};
  for (const key of keys) if (from?.[key] !== undefined) picked[key] = from[key];
  return picked;
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
