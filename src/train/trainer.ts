import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Backend } from "../backend/backend.js";
import { GPT2Error, UsageError } from "../errors.js";
import type { GPT2Config, GPT2Preset } from "../model/config.js";
import { parameterCount } from "../model/tensors.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import { readTokenizerJson } from "../tokenizer/tokenizer-json.js";
import type { EndEvent, StartEvent, StepEvent, TrainEvent, ValidationEvent } from "./events.js";
import { type TrainMemory, trainMemory } from "./memory.js";
import { ModelTrainer, trainFlopsPerToken } from "./model-trainer.js";
import {
  type BestStep,
  checkpointName,
  pruneCheckpoints,
  type RunState,
  removeLeftovers,
  saveModel,
  saveRun,
} from "./run-checkpoint.js";
import { RunData } from "./run-data.js";
import { lockFolder } from "./run-lock.js";
import { RunLog } from "./run-log.js";
import { accumulation, type TrainSettings } from "./settings.js";
import { checkpointsFolder, newestCheckpoint, newRun, type RunStart, resumedRun } from "./start.js";
import { gpt2TokenizerFor, TextSampler } from "./text-sampler.js";

export interface TrainerOptions {
  readonly backend: Backend;
  /** A folder made by `gpt2 data`, a shard, or a pattern of shards; a resumed run may leave it out. */
  readonly data?: string | undefined;
  /** The run's folder: checkpoints, metrics, and the finished model in `model/`. */
  readonly out: string;
  /** The model's shape, gaps filled as by `gpt2Config`. With `resume` or `from` it must be that model's, where given. */
  readonly config?: GPT2Preset | Partial<GPT2Config> | undefined;
  /** A model to start from, instead of random weights: anything `openCheckpoint` reads. */
  readonly from?: string | undefined;
  readonly settings?: Partial<TrainSettings>;
  /** Largest memory the run may plan, in bytes; by default what the machine has free. */
  readonly memoryLimit?: number | undefined;
  /** The backend's peak, FLOP/s, for the utilisation; not reported without it. */
  readonly peakFlops?: number | undefined;
  /** Continues the run in `out` from its newest checkpoint. What its settings may change: {@link resumedSettings}. */
  readonly resume?: boolean;
  /** What samples begin with. */
  readonly samplePrompt?: string | undefined;
  /** Called after each pass; a step has several when gradients are accumulated. */
  readonly onPass?: ((progress: PassProgress) => void) | undefined;
}

export interface PassProgress {
  /** Optimizer steps done. */
  readonly step: number;
  /** Of the step at hand. */
  readonly pass: number;
  readonly passes: number;
  /** Tokens seen in all. */
  readonly tokens: number;
}

/**
 * Trains a GPT-2. Iterate `run()`, once, for its events:
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
  readonly memory: TrainMemory;
  readonly #options: TrainerOptions;
  readonly #start: RunStart;
  readonly #data: RunData;
  readonly #sampler: TextSampler | undefined;
  #model: ModelTrainer | undefined;
  #log: RunLog | undefined;
  #step: number;
  /** The newest checkpoint. */
  #saved: number | undefined;
  /** The validation or sample of the last step is still to be done. */
  #unfinished: boolean;
  #seconds: number;
  #best: BestStep | undefined;

  private constructor(
    options: TrainerOptions,
    start: RunStart,
    memory: TrainMemory,
    data: RunData,
    sampler: TextSampler | undefined,
  ) {
    this.#options = options;
    this.#start = start;
    this.#data = data;
    this.#sampler = sampler;
    this.config = start.config;
    this.settings = start.settings;
    this.memory = memory;
    this.#step = start.state?.step ?? 0;
    this.#saved = start.state?.step;
    this.#unfinished = start.state?.unfinished ?? false;
    this.#seconds = start.state?.seconds ?? 0;
    this.#best = start.state?.best;
  }

  /**
   * Checks everything, plans the memory and opens the data. Nothing large is allocated and nothing written before `run`.
   *
   * @throws {OutOfMemoryError} the plan does not fit; {@link DataError}, {@link CheckpointError}, {@link UsageError}.
   */
  static async create(options: TrainerOptions): Promise<Trainer> {
    const start = await (options.resume ? resumedRun(options) : newRun(options));
    const { config, settings } = start;
    const memory = trainMemory(config, settings, { limit: options.memoryLimit });
    const data = new RunData(start.data, config, settings);
    try {
      await start.checkData(data);
      const sampler = settings.sampleEvery > 0 ? await newSampler(options, start, data) : undefined;
      return new Trainer(options, start, memory, data, sampler);
    } catch (error) {
      data.close();
      throw error;
    }
  }

  /** Optimizer steps done. */
  get step(): number {
    return this.#step;
  }

  /** The model, from the first step on. */
  get model(): ModelTrainer {
    if (this.#model) return this.#model;
    throw new GPT2Error({ op: "the model of a Trainer", expected: "a run that has begun" });
  }

  /**
   * Trains to the last step, or until the signal: then the pass at hand is completed, the last whole step is saved, and the
   * run can be resumed.
   */
  async *run(signal?: AbortSignal): AsyncGenerator<TrainEvent, void, void> {
    const { out } = this.#options;
    if (this.#log)
      throw new GPT2Error({ op: "running a Trainer", expected: "one call", got: "a second", hint: ONE_RUN });
    await makeFolder(out);
    const unlock = lockFolder(out);
    try {
      await this.#takeOver();
      const { state } = this.#start;
      this.#log = new RunLog(out, state && { step: state.step, unfinished: this.#unfinished });
      for await (const event of this.#events(signal)) {
        this.#log.write(event);
        yield event;
      }
    } finally {
      this.#log?.close();
      this.#data.close();
      unlock();
    }
  }

  /** Makes sure that the run is as `create` found it, and clears away what a killed process left. */
  async #takeOver(): Promise<void> {
    const { out } = this.#options;
    const newest = await newestCheckpoint(out);
    if (newest !== this.#saved) {
      const got = `step ${newest ?? "none"}`;
      const hint = "Another process has trained on in the meantime; resume again";
      throw new UsageError({ op: `training into ${out}`, expected: `step ${this.#saved ?? "none"}`, got, hint });
    }
    await removeLeftovers(checkpointsFolder(out), "step-");
    await removeLeftovers(out, "model");
    await pruneCheckpoints(checkpointsFolder(out), this.settings.keep, this.#best?.step);
  }

  async *#events(signal: AbortSignal | undefined): AsyncGenerator<TrainEvent, void, void> {
    const { steps } = this.settings;
    yield this.#startEvent();
    this.#model = new ModelTrainer(this.#options.backend, this.config, this.settings);
    await this.#start.fill(this.#model);
    if (this.#unfinished) yield* this.#completeStep(signal);
    while (this.#step < steps && !signal?.aborted) {
      const event = await this.#trainStep(signal);
      if (event === undefined) break;
      yield event;
      yield* this.#completeStep(signal);
    }
    if (this.#saved !== this.#step) yield await this.#save();
    yield await this.#end();
  }

  #startEvent(): StartEvent {
    const { config, settings, memory } = this;
    const { tokens, valTokens } = this.#data;
    return {
      type: "start",
      step: this.#step,
      resumed: this.#start.state !== undefined,
      config,
      parameters: parameterCount(config),
      settings,
      memory,
      data: resolve(this.#start.data),
      trainTokens: tokens,
      valTokens,
      epochs: (settings.steps * settings.batchTokens) / tokens,
      backend: this.#options.backend.description,
    };
  }

  /** Undefined if it was aborted, and nothing has changed. */
  async #trainStep(signal: AbortSignal | undefined): Promise<StepEvent | undefined> {
    const { batchSize: B, seqLength: T, batchTokens } = this.settings;
    const { onPass, peakFlops } = this.#options;
    const passes = accumulation(this.settings);
    const step = this.#step;
    const start = performance.now();
    const result = await this.model.step(step, this.#data.fillTraining, {
      signal,
      onPass: onPass && ((pass) => onPass({ step, pass, passes, tokens: step * batchTokens + pass * B * T })),
    });
    if (result === undefined) return undefined;
    this.#refuseDivergence(`training step ${step + 1}`, { loss: result.loss, "gradient norm": result.gradNorm });
    const seconds = (performance.now() - start) / 1000;
    this.#step++;
    this.#seconds += seconds;
    const tokensPerSecond = batchTokens / seconds;
    const utilization = peakFlops ? (tokensPerSecond * trainFlopsPerToken(this.config, T)) / peakFlops : undefined;
    const tokens = this.#step * batchTokens;
    return { type: "step", step: this.#step, ...result, tokens, seconds, tokensPerSecond, utilization };
  }

  /** The validation, sample and checkpoint due after a step. */
  async *#completeStep(signal: AbortSignal | undefined): AsyncGenerator<TrainEvent, void, void> {
    const { valEvery, sampleEvery, saveEvery, steps } = this.settings;
    const step = this.#step;
    const due = (every: number): boolean => every > 0 && (step % every === 0 || step === steps);
    const again = this.#unfinished;
    this.#unfinished = true;
    let best = false;
    if (this.#data.validationPasses > 0 && due(valEvery)) {
      const event = await this.#validate(signal);
      if (event === undefined) return;
      yield event;
      best = event.best;
    }
    if (this.#sampler && due(sampleEvery)) {
      const text = await untilAborted(this.#sampler.sample(this.model, step, signal), signal);
      if (text === undefined) return;
      yield { type: "sample", step, text };
    }
    this.#unfinished = false;
    if (best || again || due(saveEvery)) yield await this.#save();
  }

  /** Undefined if it was aborted. */
  async #validate(signal: AbortSignal | undefined): Promise<ValidationEvent | undefined> {
    const { validationPasses, fillValidation, bitsPerByte: perNat } = this.#data;
    const result = await this.model.evaluate(validationPasses, fillValidation, signal);
    if (result === undefined) return undefined;
    const { loss, tokens } = result;
    const step = this.#step;
    this.#refuseDivergence(`validation after step ${step}`, { loss });
    // A validation that is done again after it was broken off is the best again.
    const best = this.#best === undefined || this.#best.step === step || loss < this.#best.loss;
    if (best) this.#best = { step, loss };
    const bitsPerByte = perNat === undefined ? undefined : loss * perNat;
    return { type: "validation", step, loss, tokens, bitsPerByte, best };
  }

  #refuseDivergence(op: string, values: Readonly<Record<string, number>>): void {
    if (Object.values(values).every(Number.isFinite)) return;
    const names = Object.keys(values).join(" and ");
    const got = Object.entries(values).map(([name, value]) => `${name} ${value}`);
    const last = this.#saved === undefined ? "There is no checkpoint" : `The last checkpoint is of step ${this.#saved}`;
    const hint = `Lower the learning rate, or warm up longer. ${last}`;
    throw new GPT2Error({ op, expected: `a finite ${names}`, got: got.join(", "), hint });
  }

  async #save(): Promise<TrainEvent> {
    this.#log!.sync();
    const folder = checkpointsFolder(this.#options.out);
    const step = this.#step;
    const path = join(folder, checkpointName(step));
    const state: RunState = {
      format: "gpt2-ts training run",
      version: 1,
      step,
      ...(this.#unfinished && { unfinished: true }),
      settings: this.settings,
      data: resolve(this.#start.data),
      dataTokens: this.#data.tokens,
      samplePrompt: this.#options.samplePrompt ?? this.#start.state?.samplePrompt,
      best: this.#best,
      seconds: this.#seconds,
    };
    await saveRun(path, this.model, state, this.#data.tokenizer);
    this.#saved = step;
    await pruneCheckpoints(folder, this.settings.keep, this.#best?.step);
    return { type: "checkpoint", step, path, best: this.#best?.step === step };
  }

  async #end(): Promise<EndEvent> {
    const common = { type: "end", step: this.#step, best: this.#best, seconds: this.#seconds } as const;
    if (this.#step < this.settings.steps || this.#unfinished) return { ...common, finished: false };
    const model = join(this.#options.out, "model");
    await saveModel(model, this.model, this.#data.tokenizer);
    return { ...common, finished: true, model };
  }
}

/** @throws {UsageError} samples were asked for, and there is no tokenizer to write them with. */
async function newSampler(
  { settings = {}, samplePrompt }: TrainerOptions,
  { config, state }: RunStart,
  { path, tokenizer: json }: RunData,
): Promise<TextSampler | undefined> {
  const own = json === undefined ? undefined : new Tokenizer(readTokenizerJson(json, path));
  const tokenizer = own ?? (await gpt2TokenizerFor(config));
  if (tokenizer) return new TextSampler(tokenizer, samplePrompt ?? state?.samplePrompt ?? "");
  if (settings.sampleEvery === undefined) return undefined;
  throw new UsageError({
    op: "training: sampleEvery",
    expected: "a tokenizer.json beside the data, to write samples with",
    got: `none, and a vocabulary of ${config.vocabSize}, which is not GPT-2's`,
    hint: "Set it to 0, or make the data with `gpt2 data`",
  });
}

const ONE_RUN = "Make another Trainer with resume: true to go on";

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw new GPT2Error({ op: `making the folder ${path}`, got: (cause as Error).message, cause });
  }
}

/** Undefined if it failed because it was aborted. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (signal?.aborted) return undefined;
    throw error;
  }
}
