import { join } from "node:path";
import type { ModelConfig } from "../architectures/config.js";
import type { ParamTypes } from "../architectures/declare.js";
import { initialTensor } from "../architectures/init.js";
import { architectureOf, modelConfig, presetOf } from "../architectures/registry.js";
import { headlessConfig, type TaskHead } from "../architectures/task-head.js";
import { checkWeightType } from "../dtype/dtype.js";
import { CheckpointError, DataError, UsageError } from "../errors.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { isFolder } from "../util/is-folder.js";
import { copyTrained, describeModel, type ModelSource } from "./base-model.js";
import { type LoraSettings, loraSettings, parseTargets } from "./lora-settings.js";
import type { ModelTrainer } from "./model-trainer.js";
import {
  checkpointConfig,
  checkpointName,
  listCheckpoints,
  type RunState,
  readRunState,
  readTokenizerText,
  restoreRun,
} from "./run-checkpoint.js";
import { resumedSettings, settingsFor, type TrainSettings } from "./settings.js";
import type { TrainerOptions } from "./trainer-options.js";
import { headFor, type TrainingData } from "./training-data.js";

/** The starting point of a run. */
export interface RunStart {
  readonly config: ModelConfig;
  readonly settings: TrainSettings;
  /** Path of the data. */
  readonly data: string;
  /** State of the checkpoint to continue. */
  readonly state?: RunState;
  /** The adapter, if one is trained. */
  readonly adapter?: AdapterStart;
  /** The task head, if the data has labels. */
  readonly head?: TaskHead | undefined;
  /** Checks the data. @throws {DataError | UsageError} the run cannot use it. */
  checkData(data: TrainingData): Promise<void>;
  /** Fills the trained tensors with their initial values. */
  fill(model: ModelTrainer): Promise<void>;
}

/** An adapter and its model. */
export interface AdapterStart {
  readonly lora: LoraSettings;
  readonly source: ModelSource;
  /** Storage dtypes of the model's weights. */
  readonly types: ParamTypes;
}

export const checkpointsFolder = (out: string): string => join(out, "checkpoints");

/** The newest checkpoint's step in a run's folder. */
export async function newestCheckpoint(out: string): Promise<number | undefined> {
  return (await listCheckpoints(checkpointsFolder(out))).at(-1);
}

/** @throws {UsageError} there is a run in the folder already, or a setting is wrong. */
export async function newRun(options: TrainerOptions): Promise<RunStart> {
  const { out, data } = options;
  const newest = await newestCheckpoint(out);
  const finished = FINISHED.find((name) => isFolder(join(out, name)));
  const there = newest !== undefined ? `one at step ${newest}` : finished ? `a finished ${finished}` : "";
  if (there !== "") {
    const hint = newest === undefined ? "Choose another folder" : "Continue it with --resume, or choose another folder";
    throw new UsageError({ op: `training into ${out}`, expected: "no run there", got: there, hint });
  }
  if (data === undefined) throw new UsageError({ op: "training", expected: "data to train on", got: "none" });
  if (options.dtype !== undefined) checkFrozenType(options);
  const source = sourceOf(options);
  const found = source && (await describeModel(source));
  const head = headFor(data);
  const config = configFor(head, newConfig(options, found?.config));
  const settings = settingsFor(config, options.settings);
  const lora = options.lora && loraSettings(options.lora, config);
  if (lora) checkTakesAdapters(config);
  if (lora && !found) {
    throw new UsageError({ op: "training an adapter", expected: "a model to train it for", got: "none" });
  }
  return {
    config,
    settings,
    data,
    head,
    ...(lora && { adapter: { lora, source: source!, types: found!.types } }),
    checkData: async (data) => {
      if (source) checkSameVocabulary(modelName(source), config, data);
    },
    fill: async (model) => {
      const copied = source ? await copyTrained(source, model) : new Set<string>();
      await initialize(model, copied);
    },
  };
}

/** @throws {UsageError} a DistilBERT, whose layers PEFT knows by other names. */
function checkTakesAdapters(config: ModelConfig): void {
  const refusal = architectureOf(config).adapterRefusal?.(config);
  if (!refusal) return;
  throw new UsageError({ op: "training an adapter", ...refusal, hint: "Train the whole model, without --lora" });
}

/** Trained weights are always f32: steps are too small for fewer bits. */
function checkFrozenType({ dtype, lora }: TrainerOptions): void {
  checkWeightType(dtype!);
  if (lora || dtype === "f32") return;
  const hint = "Train a LoRA adapter instead, or leave the type out";
  throw new UsageError({ op: "training: dtype", expected: "f32 for weights that are trained", got: dtype!, hint });
}

/** Folders of finished results. */
export const FINISHED = ["model", "adapter"] as const;

/** The model that a run starts from: the given one, or for an adapter the package's own. */
function sourceOf({ from, lora, dtype, locate }: TrainerOptions): ModelSource | undefined {
  return from !== undefined || lora ? { ...locate, name: from, dtype } : undefined;
}

const modelName = ({ name = "the default model" }: ModelSource): string => name;

function newConfig({ config, from }: TrainerOptions, found: ModelConfig | undefined): ModelConfig {
  if (found) {
    checkSameShape(`training from ${from ?? "the default model"}`, found, config);
    return found;
  }
  if (config !== undefined) return modelConfig(config);
  throw new UsageError({ op: "training", expected: "a configuration, or a model to start from", got: "neither" });
}

const configFor = (head: TaskHead | undefined, config: ModelConfig): ModelConfig =>
  head ? headlessConfig(config, head) : config;

/** Initializes the tensors that were not copied: a new model, an adapter, a task head. */
async function initialize(model: ModelTrainer, copied: ReadonlySet<string>): Promise<void> {
  for (const [index, spec] of model.table.entries()) {
    if (copied.has(spec.name)) continue;
    model.trained.get(spec.name)!.write(initialTensor(model.config, spec, index, model.settings));
    await yieldToEventLoop();
  }
}

/** Checks the vocabulary: ids of another tokenizer would be accepted silently, and mean nothing to the model. */
function checkSameVocabulary(from: string, config: ModelConfig, { vocabSize: ids }: TrainingData): void {
  const { vocabSize } = config;
  // A BERT with byte-level BPE has more tokens than its pre-training data.
  if (architectureOf(config).attention === "bidirectional" && ids !== undefined && ids <= vocabSize) return;
  if (ids === undefined || vocabSize === ids || vocabSize === Math.ceil(ids / 128) * 128) return;
  if (vocabSize === Math.ceil(ids / 64) * 64) return;
  throw new DataError({
    op: `training from ${from}`,
    expected: `data with its vocabulary, ${vocabSize} tokens`,
    got: `data with ${ids}`,
    hint: "Prepare the data with the model's own tokenizer: gpt2 data --tokenizer",
  });
}

/** Options of a Trainer that resumes a run, except its backend. */
export type ResumeOptions = Omit<TrainerOptions, "backend">;

/** @throws {UsageError} there is nothing to resume, or a setting cannot be changed; {@link CheckpointError} damage. */
export async function resumedRun(options: ResumeOptions): Promise<RunStart> {
  const { out } = options;
  const newest = await newestCheckpoint(out);
  if (newest === undefined) {
    const hint = "Start the run without --resume";
    throw new UsageError({ op: `resuming ${out}`, expected: "a checkpoint there", got: "none", hint });
  }
  const path = join(checkpointsFolder(out), checkpointName(newest));
  const whole = <T>(read: () => Promise<T>): Promise<T> => namingOlder(out, newest, read);
  const state = await whole(() => readRunState(path));
  const source = state.base && { ...options.locate, name: state.base.model ?? undefined, dtype: state.base.dtype };
  const found = source && (await describeModel(source));
  const data = options.data ?? state.data;
  const head = headFor(data);
  const config = configFor(head, found?.config ?? (await whole(() => checkpointConfig(path))));
  checkSameShape(`resuming ${out}`, config, options.config);
  refuseOtherAdapter(options, state, config);
  const saved = await whole(async () => checkSaved(path, state, config));
  const settings = resumedSettings(saved.settings, options.settings ?? {}, state.step);
  return {
    config,
    head,
    settings,
    ...(saved.lora && { adapter: { lora: saved.lora, source: source!, types: found!.types } }),
    data,
    state,
    checkData: (given) => checkSameData(given, path, state, settings),
    fill: (model) => whole(() => restoreRun(path, model)),
  };
}

/** Adds the previous checkpoint to the error about a damaged one. */
async function namingOlder<T>(out: string, newest: number, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const folder = checkpointsFolder(out);
    const older = (await listCheckpoints(folder)).filter((step) => step < newest).at(-1);
    const path = join(folder, checkpointName(newest));
    const hint =
      older === undefined
        ? "There is no older checkpoint: start a new run in another folder"
        : `Remove ${path} to continue from the checkpoint of step ${older}`;
    throw new CheckpointError({ ...error.details, hint, cause: error });
  }
}

/**
 * Checks the settings in a checkpoint.
 *
 * @throws {CheckpointError} a value is out of range, or sequences are longer than the model's context.
 */
function checkSaved(
  path: string,
  { settings, lora }: RunState,
  config: ModelConfig,
): Pick<RunState, "settings" | "lora"> {
  try {
    return { settings: settingsFor(config, settings), ...(lora && { lora: loraSettings(lora, config) }) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new CheckpointError({ ...error.details, op: `reading ${path}: ${error.details.op}`, cause: error });
  }
}

/** @throws {DataError | UsageError} the run had other data, or packed it in another way. */
async function checkSameData(
  { path: given, tokens, tokenizer, examples }: TrainingData,
  path: string,
  state: RunState,
  { batchSize }: TrainSettings,
): Promise<void> {
  const op = `resuming with ${given}`;
  const hint = "A run continues only with the data it was started with";
  if (tokens !== state.dataTokens) {
    throw new DataError({ op, expected: `${state.dataTokens} training tokens`, got: `${tokens}`, hint });
  }
  if (examples?.hash !== state.dataHash) {
    throw new DataError({ op, expected: "the same examples", got: "different examples with as many tokens", hint });
  }
  const before = await readTokenizerText(path);
  if (before !== undefined && tokenizer !== undefined && before !== tokenizer) {
    throw new DataError({ op, expected: "the same tokenizer as before", got: "a different tokenizer", hint });
  }
  if (examples === undefined || batchSize === state.settings.batchSize) return;
  throw new UsageError({
    op: "resuming: batchSize",
    expected: `${state.settings.batchSize}, as the run was started with`,
    got: String(batchSize),
    hint: "Examples are packed into passes of this size; another size would change the rest of the run",
  });
}

/** A resumed run keeps the adapter that it trains. */
function refuseOtherAdapter(
  { lora, dtype }: Pick<TrainerOptions, "lora" | "dtype">,
  state: RunState,
  config: ModelConfig,
): void {
  const hint = "Leave it out, or start another run";
  if (lora && !state.lora) {
    throw new UsageError({
      op: "resuming: lora",
      expected: "none: the run trains a whole model",
      got: "an adapter",
      hint,
    });
  }
  const before = { ...state.lora, dtype: state.base?.dtype };
  const targets = lora?.targets && parseTargets(lora.targets, config);
  for (const [name, value] of Object.entries({ ...lora, targets, dtype })) {
    const there = before[name as keyof typeof before];
    if (value === undefined || JSON.stringify(value) === JSON.stringify(there)) continue;
    const got = JSON.stringify(value);
    throw new UsageError({ op: `resuming: ${name}`, expected: JSON.stringify(there) ?? "none", got, hint });
  }
}

function checkSameShape(op: string, config: ModelConfig, given: TrainerOptions["config"] = {}): void {
  for (const [field, value] of Object.entries(typeof given === "string" ? presetOf(given) : given)) {
    const there = config[field as keyof ModelConfig];
    if (value === undefined || value === there) continue;
    throw new UsageError({ op: `${op}: ${field}`, expected: `${there}, the model's`, got: `${value}` });
  }
}
