import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ModelConfig } from "../architectures/config.js";
import { architectureOf, tensorTable } from "../architectures/registry.js";
import { taskTensors } from "../architectures/task-head.js";
import { type DeviceArray, hostFloats } from "../backend/backend.js";
import { openFileSource } from "../checkpoint/file-source.js";
import { readSafetensors, type SafetensorsTensor } from "../checkpoint/safetensors.js";
import { TEMPLATE_FILE, type Template } from "../data/examples/template.js";
import { readSmallJson } from "../data/small-file.js";
import { WEIGHT_TYPES, type WeightType } from "../dtype/dtype.js";
import { CheckpointError } from "../errors.js";
import {
  fillAdapterFolder,
  openAdapter,
  openCheckpoint,
  saveCheckpoint,
  writeSafetensorsFile,
} from "../pretrained/node.js";
import { filesBeside, type TextTokenizer, tokenizerOfText } from "../tokenizer/text-tokenizer.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import { removeFolderAtomically, writeFolderAtomically, writeNewFile } from "../util/atomic-write.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { readError } from "../util/file-errors.js";
import { mismatch, type Shape } from "../util/json-shape.js";
import { recoverAll } from "../util/workspace.js";
import type { LoraSettings } from "./lora-settings.js";
import type { ModelTrainer } from "./model-trainer.js";
import { SETTING_NAMES, TRAIN_DEFAULTS, type TrainSettings } from "./settings.js";
import type { TaskReport } from "./task-report.js";
import { defaultEndOfText } from "./training-data.js";

/**
 * A training checkpoint is a folder that is also a model in f32 in Hugging Face's layout (config.json, model.safetensors,
 * tokenizer.json), or an adapter in PEFT's layout. Beside them it has the optimizer's moments (optimizer.safetensors) and the
 * run's state (trainer.json).
 * Data order, dropout and initialization are functions of the seed and a position, so a step number is all their state.
 */
export interface RunState {
  readonly format: "gpt2-ts training run";
  readonly version: 1;
  /** Optimizer steps done. */
  readonly step: number;
  /** Whether the run was stopped before the validation or sample due at this step. */
  readonly unfinished?: true | undefined;
  readonly settings: TrainSettings;
  /** The data set's folder and number of training tokens: a run resumes only with the same data. */
  readonly data: string;
  readonly dataTokens: number;
  /** For examples. */
  readonly dataHash?: string | undefined;
  /** For a run that trains an adapter. */
  readonly lora?: LoraSettings | undefined;
  /** The adapter's model: its name, null for the package's own, and its storage dtype. */
  readonly base?: { readonly model: string | null; readonly dtype?: WeightType | undefined } | undefined;
  /** Number of validations since the best. */
  readonly stale?: number | undefined;
  readonly best?: BestStep | undefined;
  /** Prompt of samples. */
  readonly samplePrompt?: string | undefined;
  /** Seconds of training so far. */
  readonly seconds: number;
}

/** The step with the lowest validation loss so far. */
export interface BestStep {
  readonly step: number;
  readonly loss: number;
  /** For a task: its quality. */
  readonly report?: TaskReport;
}

const STATE_FILE = "trainer.json";
const OPTIMIZER_FILE = "optimizer.safetensors";
const TOKENIZER_FILE = "tokenizer.json";

/** Makes transformers, and this program, read tokenizer.json unchanged: otherwise a GPT-2 has no prefix space. */

export const checkpointName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** Writes the folder as a whole or not at all. @param tokenizer the text of tokenizer.json */
export async function saveRun(path: string, trainer: ModelTrainer, state: RunState, tokenizer?: string): Promise<void> {
  await writeFolderAtomically(path, async (folder) => {
    if (trainer.lora) await fillAdapter(folder, trainer, state);
    else await fillModel(folder, trainer, tokenizer);
    if (tokenizer !== undefined) await writeNewFile(join(folder, TOKENIZER_FILE), tokenizer);
    const moment = async (name: string, array: DeviceArray) => {
      return { name, dtype: "F32" as const, shape: [array.length], data: await floatsOf(array) };
    };
    const moments = [await moment("m", trainer.m), await moment("v", trainer.v)];
    await writeSafetensorsFile(join(folder, OPTIMIZER_FILE), moments);
    await writeNewFile(join(folder, STATE_FILE), `${JSON.stringify(state, null, 2)}\n`);
  });
}

/** Files beside a model or adapter: the text of its tokenizer.json, and the template of its examples. */
export interface Companions {
  readonly tokenizer?: string | undefined;
  readonly template?: Template | undefined;
}

/** Writes a run's result as a whole or not at all: the model in f32 in Hugging Face's layout, or only the adapter. */
export async function saveResult(
  path: string,
  trainer: ModelTrainer,
  state: Pick<RunState, "lora" | "base">,
  { tokenizer, template }: Companions,
): Promise<void> {
  await writeFolderAtomically(path, async (folder) => {
    if (trainer.lora) await fillAdapter(folder, trainer, state);
    else await fillModel(folder, trainer, tokenizer);
    if (tokenizer !== undefined && !trainer.lora) await writeNewFile(join(folder, TOKENIZER_FILE), tokenizer);
    if (template) await writeNewFile(join(folder, TEMPLATE_FILE), `${JSON.stringify(template, null, 2)}\n`);
  });
}

/** @param tokenizer the text of its tokenizer.json */
async function fillModel(folder: string, trainer: ModelTrainer, tokenizer: string | undefined): Promise<void> {
  async function* tensors() {
    const { config, head } = trainer;
    for (const { name, shape } of [...tensorTable(config), ...(head ? taskTensors(config, head) : [])]) {
      yield { name, shape, data: await floatsOf((trainer.weights.get(name) ?? trainer.trained.get(name))!) };
    }
  }
  const { config, head } = trainer;
  const made = tokenizer === undefined ? undefined : tokenizerOfText(tokenizer, TOKENIZER_FILE);
  for (const [name, text] of Object.entries(made ? filesBeside(made) : {}))
    await writeNewFile(join(folder, name), text);
  await saveCheckpoint(folder, { config, tensors: tensors(), head, ...endTokens(config, made) });
}

/** The tokens that start and end a text. Models that read whole texts have none. */
function endTokens(config: ModelConfig, tokenizer: TextTokenizer | undefined) {
  if (architectureOf(config).attention === "bidirectional") return { eosTokenIds: [] };
  const own = tokenizer instanceof Tokenizer ? tokenizer.endOfText : undefined;
  const endOfText = own ?? defaultEndOfText(config.vocabSize);
  return { bosTokenId: endOfText, eosTokenIds: [endOfText] };
}

async function fillAdapter(
  folder: string,
  { config, lora, trained, head }: ModelTrainer,
  { lora: settings, base }: Pick<RunState, "lora" | "base">,
): Promise<void> {
  const tensors = new Map<string, Float32Array>();
  for (const [name, array] of trained) tensors.set(name, await floatsOf(array));
  const { rank, alpha, rankStabilized, dropout, targets } = settings!;
  const common = { config, rank, alpha, rankStabilized, dropout, targets, ranks: lora!.ranks, tensors };
  await fillAdapterFolder(folder, { ...common, head, baseModel: base?.model ?? undefined });
}

/** The array itself if the host can access it (nothing runs while a checkpoint is written), else a copy. */
async function floatsOf(array: DeviceArray): Promise<Float32Array> {
  return hostFloats(array) ?? Float32Array.from(await array.read());
}

/** Older checkpoints may lack some. */
const SETTINGS = Object.fromEntries(
  Object.keys(TRAIN_DEFAULTS).map((name): [string, Shape] => {
    const oneOf = SETTING_NAMES.get(name);
    return [name, { optional: oneOf ? { oneOf } : "number" }];
  }),
);

const BEST: Shape = { fields: { step: "count", loss: "number" } };

const STATE: Shape = {
  fields: {
    format: { oneOf: ["gpt2-ts training run"] },
    version: { oneOf: [1] },
    step: "count",
    unfinished: { optional: "boolean" },
    settings: { fields: SETTINGS },
    data: "string",
    dataTokens: "count",
    dataHash: { optional: "string" },
    lora: {
      optional: {
        fields: {
          ...{ rank: "number", alpha: "number", rankStabilized: "boolean", dropout: "number" },
          ...{ targets: { list: "string" }, extras: { list: "string" } },
        },
      },
    },
    base: { optional: { fields: { dtype: { optional: { oneOf: WEIGHT_TYPES } } } } },
    stale: { optional: "count" },
    best: { optional: BEST },
    samplePrompt: { optional: "string" },
    seconds: "number",
  },
};

/** Reads and checks the state of a training checkpoint. @throws {CheckpointError} it is missing or damaged. */
export async function readRunState(path: string): Promise<RunState> {
  const file = join(path, STATE_FILE);
  const op = `reading ${file}`;
  const json = readSmallJson(file, { expected: "the state of a training run", errorClass: CheckpointError });
  const wrong = mismatch(json, STATE);
  if (wrong) {
    const field = wrong.path === "" ? "" : `: ${wrong.path}`;
    throw new CheckpointError({ op: `${op}${field}`, expected: wrong.expected, got: wrong.got });
  }
  const state = json as RunState;
  const model: unknown = state.base?.model;
  if (state.base && model !== null && typeof model !== "string") {
    throw new CheckpointError({ op: `${op}: base.model`, expected: "a name, or null", got: typeof model });
  }
  if ((state.lora === undefined) !== (state.base === undefined)) {
    throw new CheckpointError({ op, expected: "an adapter's settings with its model", got: "only one of the two" });
  }
  return state;
}

/** The text of a checkpoint's tokenizer.json, if it has one. */
export async function readTokenizerText(path: string): Promise<string | undefined> {
  try {
    return await readFile(join(path, TOKENIZER_FILE), "utf8");
  } catch {
    return undefined;
  }
}

/** Fills a trainer with a checkpoint's parameters and moments. */
export async function restoreRun(path: string, trainer: ModelTrainer): Promise<void> {
  await loadParameters(path, trainer);
  const source = openFileSource(join(path, OPTIMIZER_FILE));
  try {
    const { tensors } = readSafetensors(source);
    for (const [name, array] of Object.entries({ m: trainer.m, v: trainer.v })) {
      readMoments(tensors.get(name), array, `reading ${source.name}: tensor ${name}`);
      await yieldToEventLoop();
    }
  } finally {
    source.close();
  }
}

function readMoments(tensor: SafetensorsTensor | undefined, array: DeviceArray, op: string): void {
  if (tensor?.dtype !== "F32" || tensor.shape.length !== 1 || tensor.shape[0] !== array.length) {
    const got = tensor ? `${tensor.dtype} [${tensor.shape.join(", ")}]` : "none";
    throw new CheckpointError({ op, expected: `F32 [${array.length}]`, got });
  }
  const { data } = tensor;
  const aligned = data.byteOffset % 4 === 0 ? data : data.slice();
  array.write(new Float32Array(aligned.buffer, aligned.byteOffset, array.length));
}

/** Fills the trained tensors from a checkpoint of the same run. */
export async function loadParameters(path: string, trainer: ModelTrainer): Promise<void> {
  const checkpoint = trainer.lora ? openAdapter(path, trainer.config) : await openCheckpoint(path);
  const extras = "replaced" in checkpoint ? checkpoint.replaced : [];
  try {
    for (const [name, tensor] of [...checkpoint.tensors, ...extras, ...(checkpoint.head?.tensors ?? [])]) {
      const array = trainer.trained.get(name)!;
      const values = hostFloats(array) ?? new Float32Array(array.length);
      tensor.readInto(values);
      if (values !== array.host) array.write(values);
      await yieldToEventLoop();
    }
  } finally {
    checkpoint.close();
  }
}

/** The configuration of any checkpoint. */
export async function checkpointConfig(path: string): Promise<ModelConfig> {
  const checkpoint = await openCheckpoint(path);
  checkpoint.close();
  return checkpoint.config;
}

/** The steps of all checkpoints in a folder, oldest first. */
export async function listCheckpoints(folder: string): Promise<number[]> {
  // A kill during a swap leaves the old folder under another name.
  await recoverAll(folder);
  const steps: number[] = [];
  for (const name of await namesIn(folder)) {
    const [, step] = /^step-(\d{8,})$/.exec(name) ?? [];
    if (step !== undefined && (await isFile(join(folder, name, STATE_FILE)))) steps.push(Number(step));
  }
  return steps.sort((a, b) => a - b);
}

/** Removes all but the newest `keep` checkpoints and the one of step `best`. */
export async function pruneCheckpoints(folder: string, keep: number, best: number | undefined): Promise<void> {
  const steps = await listCheckpoints(folder);
  for (const step of steps.slice(0, Math.max(0, steps.length - keep))) {
    if (step !== best) await removeFolderAtomically(join(folder, checkpointName(step)));
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw readError(cause, `reading ${folder}`, "a readable folder", CheckpointError);
  }
}

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
}
