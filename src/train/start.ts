import { join } from "node:path";
import { DataError, UsageError } from "../errors.js";
import { GPT2_PRESETS, type GPT2Config, gpt2Config } from "../model/config.js";
import { initialTensors } from "../model/init.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import type { ModelTrainer } from "./model-trainer.js";
import {
  checkpointConfig,
  checkpointName,
  listCheckpoints,
  loadParameters,
  type RunState,
  readRunState,
  readTokenizerText,
  restoreRun,
} from "./run-checkpoint.js";
import { isFolder, type RunData } from "./run-data.js";
import { resumedSettings, settingsFor, type TrainSettings } from "./settings.js";
import type { TrainerOptions } from "./trainer.js";

/** What a run begins with. */
export interface RunStart {
  readonly config: GPT2Config;
  readonly settings: TrainSettings;
  /** Path of the data. */
  readonly data: string;
  /** Of the checkpoint that it continues. */
  readonly state?: RunState;
  /** @throws {DataError | UsageError} this data can't be that of the run. */
  checkData(data: RunData): Promise<void>;
  /** Gives the model its first values. */
  fill(model: ModelTrainer): Promise<void>;
}

export const checkpointsFolder = (out: string): string => join(out, "checkpoints");

/** The newest checkpoint's step in a run's folder. */
export async function newestCheckpoint(out: string): Promise<number | undefined> {
  return (await listCheckpoints(checkpointsFolder(out))).at(-1);
}

/** @throws {UsageError} there is a run in the folder already, or a setting is wrong. */
export async function newRun(options: TrainerOptions): Promise<RunStart> {
  const { out, from, data } = options;
  const newest = await newestCheckpoint(out);
  const there = newest !== undefined ? `one at step ${newest}` : isFolder(join(out, "model")) ? "a finished model" : "";
  if (there !== "") {
    const hint = newest === undefined ? "Choose another folder" : "Continue it with --resume, or choose another folder";
    throw new UsageError({ op: `training into ${out}`, expected: "no run there", got: there, hint });
  }
  if (data === undefined) throw new UsageError({ op: "training", expected: "data to train on", got: "none" });
  const config = await newConfig(options);
  const settings = settingsFor(config, options.settings);
  return {
    config,
    settings,
    data,
    checkData: async (data) => {
      if (from !== undefined) checkSameVocabulary(from, config, data);
    },
    fill: (model) => (from === undefined ? initialize(model) : loadParameters(from, model)),
  };
}

async function newConfig({ config, from }: TrainerOptions): Promise<GPT2Config> {
  if (from !== undefined) {
    const found = await checkpointConfig(from);
    checkSameShape(`training from ${from}`, found, config);
    return found;
  }
  if (config !== undefined) return gpt2Config(config);
  throw new UsageError({ op: "training", expected: "a configuration, or a model to start from", got: "neither" });
}

async function initialize(model: ModelTrainer): Promise<void> {
  for (const [name, values] of initialTensors(model.config, model.settings)) {
    model.weights.get(name)!.write(values);
    await yieldToEventLoop();
  }
}

/** Ids of another tokenizer would be read without complaint, and mean nothing to the model. */
function checkSameVocabulary(from: string, { vocabSize }: GPT2Config, { vocabSize: ids }: RunData): void {
  if (ids === undefined || vocabSize === ids || vocabSize === Math.ceil(ids / 128) * 128) return;
  if (vocabSize === Math.ceil(ids / 64) * 64) return;
  throw new DataError({
    op: `training from ${from}`,
    expected: `data with its vocabulary, ${vocabSize} tokens`,
    got: `data with ${ids}`,
    hint: "Prepare the data with the model's own tokenizer: gpt2 data --tokenizer",
  });
}

/** @throws {UsageError} nothing to resume, or a setting that can't be changed; {@link CheckpointError} damage. */
export async function resumedRun(options: TrainerOptions): Promise<RunStart> {
  const { out } = options;
  const newest = await newestCheckpoint(out);
  if (newest === undefined) {
    const hint = "Start the run without --resume";
    throw new UsageError({ op: `resuming ${out}`, expected: "a checkpoint there", got: "none", hint });
  }
  const path = join(checkpointsFolder(out), checkpointName(newest));
  const state = await readRunState(path);
  const config = await checkpointConfig(path);
  checkSameShape(`resuming ${out}`, config, options.config);
  return {
    config,
    settings: resumedSettings(state.settings, options.settings ?? {}, state.step),
    data: options.data ?? state.data,
    state,
    checkData: async ({ path: given, tokens, tokenizer }) => {
      const op = `resuming with ${given}`;
      const hint = "A run goes on only with the data that it was started with";
      if (tokens !== state.dataTokens) {
        throw new DataError({ op, expected: `${state.dataTokens} training tokens`, got: `${tokens}`, hint });
      }
      const before = await readTokenizerText(path);
      if (before !== undefined && tokenizer !== undefined && before !== tokenizer) {
        throw new DataError({ op, expected: "the tokenizer of before", got: "another", hint });
      }
    },
    fill: (model) => restoreRun(path, model),
  };
}

function checkSameShape(op: string, config: GPT2Config, given: TrainerOptions["config"] = {}): void {
  for (const [field, value] of Object.entries(typeof given === "string" ? GPT2_PRESETS[given] : given)) {
    const there = config[field as keyof GPT2Config];
    if (value === undefined || value === there) continue;
    throw new UsageError({ op: `${op}: ${field}`, expected: `${there}, the model's`, got: `${value}` });
  }
}
