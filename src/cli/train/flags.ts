import { type Command, InvalidArgumentError } from "commander";
import type { GPT2Config, SizeField } from "../../architectures/gpt2/config.js";
import { TRAIN_DEFAULTS, type TrainSettings } from "../../train/settings.js";

/** Flags that are settings of the run, with what they mean, and the default where it is not the library's. */
const SETTINGS: readonly [flag: string, setting: keyof TrainSettings, help: string, fallback?: string][] = [
  ["--batch-size <B>", "batchSize", "sequences in one pass"],
  ["--seq-length <T>", "seqLength", "tokens in a sequence", "the model's context"],
  ["--batch-tokens <n>", "batchTokens", "tokens in one optimizer step, accumulated over passes", "one pass"],
  ["--steps <n>", "steps", "optimizer steps in all"],
  ["--warmup <n>", "warmupSteps", "steps of linear warm-up"],
  ["--lr <x>", "lr", "peak learning rate"],
  ["--min-lr <x>", "minLr", "learning rate at the end of the cosine", "a tenth of the peak"],
  ["--beta1 <x>", "beta1", "AdamW's decay of the mean gradient"],
  ["--beta2 <x>", "beta2", "AdamW's decay of the mean square"],
  ["--epsilon <x>", "epsilon", "AdamW's smallest divisor"],
  ["--weight-decay <x>", "weightDecay", "decoupled, on matrices only"],
  ["--clip <x>", "maxNorm", "largest gradient norm, 0 for no clipping"],
  ["--dropout <p>", "dropout", "probability of dropping activations"],
  ["--seed <n>", "seed", "of initialisation, data order, dropout and samples"],
  ["--val-every <n>", "valEvery", "validate every n steps and at the end, 0 for never"],
  ["--val-batches <n>", "valBatches", "passes in a validation, 0 for the whole held-out text"],
  ["--sample-every <n>", "sampleEvery", "write a sample every n steps and at the end, 0 for never"],
  ["--sample-tokens <n>", "sampleTokens", "tokens of a sample"],
  ["--save-every <n>", "saveEvery", "checkpoint every n steps and at the end"],
  ["--keep <n>", "keep", "newest checkpoints kept, besides the best"],
  ["--patience <n>", "patience", "stop after so many validations that are not the best, 0 for never"],
];

/** Flags that switch a setting. */
const SWITCHES: readonly [flag: string, setting: keyof TrainSettings, value: 0 | 1, help: string][] = [
  ["--recompute", "recompute", 1, "compute activations twice instead of keeping them: less memory, a third more time"],
  ["--isolate", "isolate", 1, "documents in a sequence do not see those before them"],
  ["--across-documents", "isolate", 0, "documents in a sequence see those before them"],
  ["--best", "useBest", 1, "end with the best model, not the last"],
  ["--last", "useBest", 0, "end with the last model, not the best"],
];

const SHAPE: readonly [flag: string, field: SizeField, help: string, fallback: string][] = [
  ["--layers <n>", "nLayer", "layers", "the preset's"],
  ["--embd <n>", "nEmbd", "width of the model", "the preset's"],
  ["--heads <n>", "nHead", "attention heads", "width / 64"],
  ["--context <n>", "nCtx", "longest sequence", "1024"],
  ["--vocab-size <n>", "vocabSize", "tokens in the vocabulary", "the data's"],
];

const SCALES: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, b: 1e9 };

/** `1000`, `6e-4`, `0.5M`. */
export function parseNumber(text: string): number {
  const scale = SCALES[text.slice(-1).toLowerCase()];
  const digits = (scale === undefined ? text : text.slice(0, -1)).trim();
  const value = digits === "" ? Number.NaN : Number(digits.replaceAll("_", "")) * (scale ?? 1);
  if (Number.isNaN(value)) throw new InvalidArgumentError("Not a number.");
  return value;
}

/** Adds the flags of the model's shape and of the run's settings. */
export function addTrainFlags(command: Command): void {
  command.optionsGroup("Model:");
  for (const [flag, , help, fallback] of SHAPE) command.option(flag, `${help} (default: ${fallback})`, parseNumber);
  command.optionsGroup("Training:");
  addSettingFlags(command);
  addSwitches(command, ["--recompute", "--isolate", "--best"]);
}

/** Adds those of the switches; the others are the default. */
export function addSwitches(command: Command, flags: readonly string[]): void {
  for (const [flag, , , help] of SWITCHES) if (flags.includes(flag)) command.option(flag, help);
}

/** Adds the flags of the run's settings, with defaults that are not training's in words. */
export function addSettingFlags(command: Command, defaults: Partial<Record<keyof TrainSettings, string>> = {}): void {
  for (const [flag, setting, help, fallback] of SETTINGS) {
    const shown = defaults[setting] ?? fallback ?? TRAIN_DEFAULTS[setting];
    command.option(flag, `${help} (default: ${shown})`, parseNumber);
  }
}

export type Flags = Readonly<Record<string, unknown>>;

export const givenShape = (flags: Flags): Partial<GPT2Config> => collect(SHAPE, flags);
export function givenSettings(flags: Flags): Partial<TrainSettings> {
  const switched = SWITCHES.flatMap(([flag, setting, value]) => (flags[keyOf(flag)] ? [[setting, value]] : []));
  return { ...collect(SETTINGS, flags), ...Object.fromEntries(switched) };
}

function collect<K extends string>(
  table: readonly (readonly [flag: string, field: K, ...rest: unknown[]])[],
  flags: Flags,
): Partial<Record<K, number>> {
  const found: Partial<Record<K, number>> = {};
  for (const [flag, field] of table) {
    const value = flags[keyOf(flag)];
    if (value !== undefined) found[field] = value as number;
  }
  return found;
}

/** Commander's name of a flag: that of `--val-every <n>` is valEvery. */
function keyOf(flag: string): string {
  const [name] = flag.slice(2).split(" ") as [string];
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
