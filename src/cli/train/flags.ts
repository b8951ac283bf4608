import { type Command, Option } from "commander";
import type { SizeField } from "../../architectures/config.js";
import { WEIGHT_TYPES, type WeightType } from "../../dtype/dtype.js";
import { UsageError } from "../../errors.js";
import { LORA_DEFAULTS, type LoraExtra, type LoraSettings } from "../../train/lora-settings.js";
import { SETTING_NAMES, TRAIN_DEFAULTS, type TrainSettings } from "../../train/settings.js";
import { number } from "../options.js";

/** Flags of the run's settings, with help, and with defaults that depend on other settings. */
const SETTINGS: readonly [flag: string, setting: keyof TrainSettings, help: string, fallback?: string][] = [
  ["--batch-size <B>", "batchSize", "sequences in one pass"],
  ["--seq-length <T>", "seqLength", "tokens in a sequence", "the model's context"],
  ["--batch-tokens <n>", "batchTokens", "tokens per optimizer step, accumulated over passes", "one pass"],
  ["--steps <n>", "steps", "number of optimizer steps"],
  ["--warmup <n>", "warmupSteps", "steps of linear warm-up", "a tenth of the steps, at most 100"],
  ["--lr <x>", "lr", "peak learning rate"],
  ["--schedule <name>", "schedule", "schedule of the learning rate"],
  ["--min-lr <x>", "minLr", "learning rate at the end", "a tenth of the peak for a cosine, else 0"],
  ["--warmdown <n>", "warmdownSteps", "steps of linear warm-down of a trapezoid", "a fifth of the steps"],
  ["--optimizer <name>", "optimizer", "AdamW, or Muon for the layers' matrices"],
  ["--momentum <x>", "momentum", "Muon's decay rate of the mean gradient"],
  ["--beta1 <x>", "beta1", "AdamW's decay rate of the mean gradient"],
  ["--beta2 <x>", "beta2", "AdamW's decay rate of the mean square"],
  ["--epsilon <x>", "epsilon", "AdamW's smallest divisor"],
  ["--weight-decay <x>", "weightDecay", "decoupled weight decay, of matrices only"],
  ["--clip <x>", "maxNorm", "largest gradient norm, 0 for no clipping"],
  ["--precision <type>", "precision", "precision of matrix products; weights and optimizer are f32"],
  ["--dropout <p>", "dropout", "probability of dropping activations"],
  ["--seed <n>", "seed", "seed of initialization, data order, dropout and samples"],
  ["--val-every <n>", "valEvery", "validate every n steps and at the end, 0 for never"],
  ["--val-batches <n>", "valBatches", "passes in a validation, 0 for the whole held-out text"],
  ["--sample-every <n>", "sampleEvery", "write a sample every n steps and at the end, 0 for never"],
  ["--sample-tokens <n>", "sampleTokens", "tokens of a sample"],
  ["--save-every <n>", "saveEvery", "checkpoint every n steps and at the end"],
  ["--keep <n>", "keep", "newest checkpoints kept, besides the best"],
  ["--patience <n>", "patience", "stop after n validations without improvement, 0 for never"],
];

/** Those of pre-training alone. */
const MASK_SETTINGS: typeof SETTINGS = [
  ["--mask-share <x>", "maskShare", "BERT: share of the tokens that are masked and predicted"],
  ["--static-masks <n>", "staticMasks", "BERT: ways to mask each text, 0 for a new one each time"],
];

/** Flags that switch a setting. */
const SWITCHES: readonly [flag: string, setting: keyof TrainSettings, value: 0 | 1, help: string][] = [
  ["--recompute", "recompute", 1, "recompute activations in the backward pass: less memory, a third more time"],
  ["--isolate", "isolate", 1, "documents in a sequence do not attend to those before them"],
  ["--across-documents", "isolate", 0, "documents in a sequence attend to those before them"],
  ["--whole-words", "wholeWords", 1, "BERT: mask whole words"],
  ["--best", "useBest", 1, "end with the best model, not the last"],
  ["--last", "useBest", 0, "end with the last model, not the best"],
];

type ShapeField = SizeField | "windowSize";

const SHAPE: readonly [flag: string, field: ShapeField, help: string, fallback: string][] = [
  ["--layers <n>", "nLayer", "layers", "the preset's"],
  ["--embd <n>", "nEmbd", "width of the model", "the preset's"],
  ["--heads <n>", "nHead", "attention heads", "width / 64"],
  ["--context <n>", "nCtx", "longest sequence", "the preset's"],
  ["--vocab-size <n>", "vocabSize", "tokens in the vocabulary", "the data's"],
  ["--window <n>", "windowSize", "GPT-Neo: keys that a token sees in a local layer", "256"],
];

/** Adds the flags of the model's shape and of the run's settings. */
export function addTrainFlags(command: Command): void {
  command.optionsGroup("Model:");
  for (const [flag, , help, fallback] of SHAPE) command.option(flag, `${help} (default: ${fallback})`, number);
  command.optionsGroup("Training:");
  addSettingFlags(command);
  addOptions(command, MASK_SETTINGS, {});
  addSwitches(command, ["--recompute", "--isolate", "--whole-words", "--best"]);
}

/** Adds these of the switches. */
export function addSwitches(command: Command, flags: readonly string[]): void {
  for (const [flag, , , help] of SWITCHES) if (flags.includes(flag)) command.option(flag, help);
}

/** Adds the flags of the run's settings; `defaults` replaces defaults in the help. */
export function addSettingFlags(command: Command, defaults: Partial<Record<keyof TrainSettings, string>> = {}): void {
  addOptions(command, SETTINGS, defaults);
}

function addOptions(
  command: Command,
  settings: typeof SETTINGS,
  defaults: Partial<Record<keyof TrainSettings, string>>,
): void {
  for (const [flag, setting, help, fallback] of settings) {
    const shown = defaults[setting] ?? fallback ?? TRAIN_DEFAULTS[setting];
    const option = new Option(flag, `${help} (default: ${shown})`);
    const names = SETTING_NAMES.get(setting);
    command.addOption(names ? option.choices(names) : option.argParser(number));
  }
}

export type Flags = Readonly<Record<string, unknown>>;

export const givenShape = (flags: Flags): Partial<Record<ShapeField, number>> => collect(SHAPE, flags);
export function givenSettings(flags: Flags): Partial<TrainSettings> {
  const switched = SWITCHES.flatMap(([flag, setting, value]) => (flags[keyOf(flag)] ? [[setting, value]] : []));
  return { ...collect([...SETTINGS, ...MASK_SETTINGS], flags), ...Object.fromEntries(switched) };
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

/** Commander's key of a flag: that of `--val-every <n>` is valEvery. */
function keyOf(flag: string): string {
  const [name] = flag.slice(2).split(" ") as [string];
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

export interface LoraFlags {
  readonly lora?: true | number;
  readonly loraAlpha?: number;
  readonly loraDropout?: number;
  readonly loraTargets?: string;
  readonly loraExtras?: string;
  readonly rslora?: true;
  readonly dtype?: WeightType;
  readonly merge?: true;
}

/** Adds the flags of an adapter. */
export function addLoraFlags(command: Command): void {
  command.optionsGroup("Adapter:");
  command
    .option("--lora [rank]", `train a LoRA adapter (default rank: ${LORA_DEFAULTS.rank})`, number)
    .option(
      "--lora-alpha <x>",
      "LoRA scaling: the product is multiplied by alpha / rank (default: twice the rank)",
      number,
    )
    .option("--lora-dropout <p>", "dropout of the adapter's input (default: 0)", number)
    .option("--lora-targets <names>", "linear layers by PEFT's names, such as c_attn,c_fc (default: all-linear)")
    .option("--lora-extras <names>", "train the model's norms or biases too (default: neither)")
    .option("--rslora", "multiply by alpha / √rank instead (rank-stabilised LoRA)")
    .addOption(
      new Option("--dtype <type>", "storage dtype of the frozen weights (default: as in the file)").choices(
        WEIGHT_TYPES,
      ),
    )
    .option("--merge", "also write the model with the adapter merged into it, to model/");
}

/** The adapter in the flags; undefined to train all of the model. */
export function givenLora(flags: LoraFlags): Partial<LoraSettings> | undefined {
  const { lora, loraAlpha, loraDropout, loraTargets, loraExtras, rslora } = flags;
  const given: Partial<LoraSettings> = {
    ...(typeof lora === "number" && { rank: lora }),
    ...(loraAlpha !== undefined && { alpha: loraAlpha }),
    ...(loraDropout !== undefined && { dropout: loraDropout }),
    ...(loraTargets !== undefined && { targets: names(loraTargets) }),
    ...(loraExtras !== undefined && { extras: names(loraExtras) as LoraExtra[] }),
    ...(rslora && { rankStabilized: true }),
  };
  if (lora !== undefined) return given;
  const [other] = Object.keys(given);
  if (other === undefined && !flags.merge && flags.dtype === undefined) return undefined;
  const got = other ?? (flags.merge ? "--merge" : "--dtype");
  throw new UsageError({
    op: "gpt2 finetune",
    expected: "--lora with an adapter's options",
    got: `${got} without it`,
  });
}

const names = (list: string): string[] => list.split(",").map((name) => name.trim());
