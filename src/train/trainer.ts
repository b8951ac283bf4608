import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ModelConfig } from "../architectures/config.js";
import { architectureOf, parameterCount } from "../architectures/registry.js";
import { taskTensors } from "../architectures/task-head.js";
import { numel } from "../architectures/tensor-spec.js";
import type { DeviceArray } from "../backend/backend.js";
import { GPT2Error, UsageError } from "../errors.js";
import { typedWrite } from "../util/file-errors.js";
import { checkOptionNames } from "../util/nearest.js";
import { makeFolder } from "../util/output.js";
import { recoverAll } from "../util/workspace.js";
import { adaptationOf } from "./base-model.js";
import { inEpochs } from "./epochs.js";
import type { EndEvent, StartEvent, StepEvent, TrainEvent, ValidationEvent } from "./events.js";
import { trainFlopsPerToken } from "./flops.js";
import { loraPlan } from "./lora-settings.js";
import { type TrainMemory, trainMemory } from "./memory.js";
import { ModelTrainer } from "./model-trainer.js";
import {
  type BestStep,
  checkpointName,
  loadParameters,
  pruneCheckpoints,
  type RunState,
  saveResult,
  saveRun,
} from "./run-checkpoint.js";
import { lockFolder } from "./run-lock.js";
import { RunLog } from "./run-log.js";
import { accumulation, type TrainSettings } from "./settings.js";
import { checkpointsFolder, newestCheckpoint, newRun, type RunStart, resumedRun } from "./start.js";
import { reportOf } from "./task-report.js";
import { samplerFor, type TextSampler } from "./text-sampler.js";
import { TRAINER_OPTIONS, type TrainerOptions } from "./trainer-options.js";
import { TrainingData } from "./training-data.js";

/**
 * Trains a model. Iterate `run()`, once, for its events:
 *
 *     const trainer = await Trainer.create({ backend, data: "data/", out: "runs/a", config });
 *     for await (const event of trainer.run()) if (event.type === "step") console.log(event.step, event.loss);
 *
 * The same seed and settings give the same bits, whatever the number of threads, and however often the run is interrupted and
 * resumed.
 */
export class Trainer {
  readonly config: ModelConfig;
  readonly settings: TrainSettings;
  readonly memory: TrainMemory;
  readonly #options: TrainerOptions;
  readonly #start: RunStart;
  readonly #data: TrainingData;
  readonly #sampler: TextSampler | undefined;
  #model: ModelTrainer | undefined;
  /** The weights of an adapter's model. */
  #frozen: readonly DeviceArray[] = [];
  #disposed: Promise<void> | undefined;
  #log: RunLog | undefined;
  #step: number;
  /** The newest checkpoint. */
  #saved: number | undefined;
  /** Whether the validation or sample of the last step is still due. */
  #unfinished: boolean;
  #seconds: number;
  #best: BestStep | undefined;
  /** Number of validations since the best. */
  #stale: number;

  private constructor(
    options: TrainerOptions,
    start: RunStart,
    memory: TrainMemory,
    data: TrainingData,
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
    this.#stale = start.state?.stale ?? 0;
  }

  /**
   * Checks everything, plans the memory and opens the data. Allocates nothing large and writes nothing before `run`.
   *
   * @throws {OutOfMemoryError} the plan does not fit; {@link DataError}, {@link CheckpointError}, {@link UsageError}.
   */
  static async create(options: TrainerOptions): Promise<Trainer> {
    checkOptionNames("training", options, TRAINER_OPTIONS);
    const found = await (options.resume ? resumedRun(options) : newRun(options));
    const { config } = found;
    const data = TrainingData.open(found.data, config, found.settings);
    try {
      // Models with a task head, and models that read whole texts, write no samples.
      const settings = {
        ...inEpochs(found.settings, data, options),
        ...((found.head || readsWhole(config)) && { sampleEvery: 0 }),
      };
      const start = { ...found, settings };
      const { lora, types } = found.adapter ?? {};
      const memory = trainMemory(config, settings, { limit: options.memoryLimit, lora, types, head: found.head });
      await start.checkData(data);
      const sampler =
        settings.sampleEvery > 0
          ? await samplerFor(config, data, {
              prompt: options.samplePrompt ?? start.state?.samplePrompt,
              wanted: options.settings?.sampleEvery !== undefined,
            })
          : undefined;
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

  /** The model. Available from the first step on. */
  get model(): ModelTrainer {
    if (this.#model) return this.#model;
    throw new GPT2Error({
      op: "the model of a Trainer",
      expected: "a run that has begun",
      got: "a run before its first step",
    });
  }

  /**
   * Trains to the last step, or until the signal is aborted: it then completes the current pass and saves the last whole step, so
   * the run can be resumed.
   */
  async *run(signal?: AbortSignal): AsyncGenerator<TrainEvent, void, void> {
    const { out } = this.#options;
    if (this.#log)
      throw new GPT2Error({ op: "running a Trainer", expected: "one call", got: "a second", hint: ONE_RUN });
    await typedWrite(`making the folder ${out}`, GPT2Error, () => makeFolder(resolve(out)));
    const unlock = lockFolder(out);
    try {
      await this.#takeOver();
      const { state } = this.#start;
      this.#log = new RunLog(out, state && { step: state.step, unfinished: this.#unfinished });
      // A kill between a checkpoint and its event leaves a checkpoint without a line.
      if (state && this.#log.lastCheckpoint !== state.step) this.#log.write(this.#checkpointEvent(state.step));
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

  /**
   * Releases the memory of the model, its optimizer and frozen weights, and the data. The backend stays. End a current run first, by
   * its signal or by leaving its loop.
   */
  dispose(): Promise<void> {
    this.#disposed ??= this.#release();
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #release(): Promise<void> {
    this.#data.close();
    await this.#sampler?.dispose();
    this.#model?.dispose();
    for (const array of this.#frozen) array.dispose();
  }

  /** Checks that the run has not changed since `create`, and removes leftovers of killed processes. */
  async #takeOver(): Promise<void> {
    const { out } = this.#options;
    const newest = await newestCheckpoint(out);
    if (newest !== this.#saved) {
      const got = `step ${newest ?? "none"}`;
      const hint = "Another process has continued the run in the meantime: resume it once more";
      throw new UsageError({ op: `training into ${out}`, expected: `step ${this.#saved ?? "none"}`, got, hint });
    }
    await recoverAll(out);
    await pruneCheckpoints(checkpointsFolder(out), this.settings.keep, this.#best?.step);
  }

  async *#events(signal: AbortSignal | undefined): AsyncGenerator<TrainEvent, void, void> {
    const { steps } = this.settings;
    yield this.#startEvent();
    const { backend } = this.#options;
    const { adapter, head } = this.#start;
    const adaptation = adapter && (await adaptationOf(backend, adapter.source, adapter.lora));
    this.#frozen = [...(adaptation?.base.values() ?? [])];
    this.#model = await ModelTrainer.create(backend, this.config, this.settings, adaptation, head);
    await this.#start.fill(this.#model);
    if (this.#unfinished) yield* this.#completeStep(signal);
    while (this.#step < steps && !this.#stopsEarly && !signal?.aborted) {
      const event = await this.#trainStep(signal);
      if (event === undefined) break;
      yield event;
      yield* this.#completeStep(signal);
    }
    if (this.#saved !== this.#step) yield await this.#save();
    yield await this.#end();
  }

  /** Whether the validation loss has not improved for `patience` validations. */
  get #stopsEarly(): boolean {
    const { patience } = this.settings;
    return patience > 0 && this.#stale >= patience && !this.#unfinished;
  }

  #startEvent(): StartEvent {
    const { config, settings, memory } = this;
    const { tokens, valTokens, examples } = this.#data;
    const { head, adapter } = this.#start;
    const lora = adapter?.lora;
    const score = head ? taskTensors(config, head).reduce((n, { shape }) => n + numel(shape), 0) : 0;
    return {
      type: "start",
      step: this.#step,
      resumed: this.#start.state !== undefined,
      config,
      parameters: parameterCount(config) + score,
      ...(lora && { lora, trainedParameters: loraPlan(config, lora).parameters + score }),
      ...(head && { head }),
      settings,
      memory,
      data: resolve(this.#start.data),
      trainTokens: tokens,
      valTokens,
      ...(examples && { examples }),
      epochs: this.#data.epochs(settings.steps),
      backend: this.#options.backend.description,
      fastBf16: this.#options.backend.capabilities.fastBf16,
    };
  }

  /** Undefined if it was aborted; nothing has changed then. */
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
    const kind = { frozen: this.#start.adapter !== undefined, recompute: this.settings.recompute === 1 };
    const { vocabSize } = this.config;
    const outputs = this.#start.head?.labels.length ?? vocabSize;
    const flops = tokensPerSecond * trainFlopsPerToken({ ...this.config, vocabSize: outputs }, T, kind);
    const utilization = peakFlops ? flops / peakFlops : undefined;
    const tokens = this.#step * batchTokens;
    return { type: "step", step: this.#step, ...result, tokens, seconds, tokensPerSecond, utilization };
  }

  /** Makes the validation, sample and checkpoint due after a step. */
  async *#completeStep(signal: AbortSignal | undefined): AsyncGenerator<TrainEvent, void, void> {
    const { valEvery, sampleEvery, saveEvery, steps } = this.settings;
    const step = this.#step;
    const due = (every: number): boolean => every > 0 && (step % every === 0 || step === steps);
    const wasUnfinished = this.#unfinished;
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
    if (best || wasUnfinished || due(saveEvery)) yield await this.#save();
  }

  /** Undefined if it was aborted. */
  async #validate(signal: AbortSignal | undefined): Promise<ValidationEvent | undefined> {
    const { validationPasses, fillValidation, bitsPerByte: perNat } = this.#data;
    const result = await this.model.evaluate(validationPasses, fillValidation, signal);
    if (result === undefined) return undefined;
    const { loss, tokens, outcomes } = result;
    const step = this.#step;
    this.#refuseDivergence(`validation after step ${step}`, { loss });
    // A repeated validation of the same step, after an interruption, remains the best.
    const best = this.#best === undefined || this.#best.step === step || loss < this.#best.loss;
    const head = this.#start.head;
    const report = head && outcomes && reportOf(head, outcomes);
    if (best) this.#best = { step, loss, ...(report && { report }) };
    this.#stale = best ? 0 : this.#stale + 1;
    const bitsPerByte = perNat === undefined ? undefined : loss * perNat;
    return { type: "validation", step, loss, tokens, bitsPerByte, best, ...(report && { report }) };
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
      dataHash: this.#data.examples?.hash,
      ...this.#adapterState(),
      ...(this.#stale > 0 && { stale: this.#stale }),
      samplePrompt: this.#options.samplePrompt ?? this.#start.state?.samplePrompt,
      best: this.#best,
      seconds: this.#seconds,
    };
    await saveRun(path, this.model, state, this.#data.tokenizer);
    this.#saved = step;
    await pruneCheckpoints(folder, this.settings.keep, this.#best?.step);
    return this.#checkpointEvent(step);
  }

  #checkpointEvent(step: number): TrainEvent {
    const path = join(checkpointsFolder(this.#options.out), checkpointName(step));
    return { type: "checkpoint", step, path, best: this.#best?.step === step };
  }

  /** State of the adapter in a checkpoint. */
  #adapterState(): Pick<RunState, "lora" | "base"> {
    const { adapter } = this.#start;
    if (!adapter) return {};
    const { name, dtype } = adapter.source;
    // An absolute path works from any folder.
    const model = name === undefined ? null : existsSync(name) ? resolve(name) : name;
    return { lora: adapter.lora, base: { model, dtype } };
  }

  async #end(): Promise<EndEvent> {
    const common = { type: "end", step: this.#step, best: this.#best, seconds: this.#seconds } as const;
    const early = this.#stopsEarly;
    if ((this.#step < this.settings.steps && !early) || this.#unfinished) return { ...common, finished: false };
    const saved = await this.#takeBest();
    const result = this.#start.adapter ? "adapter" : "model";
    const path = join(this.#options.out, result);
    await saveResult(path, this.model, this.#adapterState(), this.#data);
    return { ...common, finished: true, ...(early && { early }), saved, [result]: path };
  }

  /** With `useBest`, restores the step with the lowest validation loss. Returns the step of the model. */
  async #takeBest(): Promise<number> {
    const best = this.#best?.step;
    if (this.settings.useBest === 0 || best === undefined || best === this.#step) return this.#step;
    await loadParameters(join(checkpointsFolder(this.#options.out), checkpointName(best)), this.model);
    return best;
  }
}

const readsWhole = (config: ModelConfig): boolean => architectureOf(config).attention === "bidirectional";

const ONE_RUN = "Make another Trainer with resume: true to continue";

/** Undefined if it failed because it was aborted. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (signal?.aborted) return undefined;
    throw error;
  }
}
