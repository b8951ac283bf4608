import { type Command, Option } from "commander";
import { WEIGHT_TYPES, type WeightType } from "../../dtype/dtype.js";
import { UsageError } from "../../errors.js";
import { LORA_DEFAULTS, type LoraExtra, type LoraSettings, parseTargets } from "../../train/lora-settings.js";
import { parseNumber } from "./flags.js";

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
    .option("--lora [rank]", `train a LoRA adapter (default rank: ${LORA_DEFAULTS.rank})`, parseNumber)
    .option(
      "--lora-alpha <x>",
      "scale: what is added is multiplied by alpha / rank (default: twice the rank)",
      parseNumber,
    )
    .option("--lora-dropout <p>", "probability of dropping an adapter's input (default: 0)", parseNumber)
    .option("--lora-targets <names>", "c_attn, attn.c_proj, c_fc, mlp.c_proj, all-linear (default: all-linear)")
    .option("--lora-extras <names>", "train norms or biases of the model too (default: neither)")
    .option("--rslora", "multiply by alpha / √rank instead")
    .addOption(
      new Option("--dtype <type>", "hold the frozen weights in this (default: as the file)").choices(WEIGHT_TYPES),
    )
    .option("--merge", "write the model with the adapter folded into it as well, to model/");
}

/** Undefined: all of the model is trained. */
export function givenLora(flags: LoraFlags): Partial<LoraSettings> | undefined {
  const { lora, loraAlpha, loraDropout, loraTargets, loraExtras, rslora } = flags;
  const given: Partial<LoraSettings> = {
    ...(typeof lora === "number" && { rank: lora }),
    ...(loraAlpha !== undefined && { alpha: loraAlpha }),
    ...(loraDropout !== undefined && { dropout: loraDropout }),
    ...(loraTargets !== undefined && { targets: parseTargets(names(loraTargets)) }),
    ...(loraExtras !== undefined && { extras: names(loraExtras) as LoraExtra[] }),
    ...(rslora && { rankStabilized: true }),
  };
  if (lora !== undefined) return given;
  const [other] = Object.keys(given);
  if (other === undefined && !flags.merge && flags.dtype === undefined) return undefined;
  const got = other ?? (flags.merge ? "--merge" : "--dtype");
  throw new UsageError({
    op: "gpt2 finetune",
    expected: "--lora with the options of an adapter",
    got: `${got} without it`,
  });
}

const names = (list: string): string[] => list.split(",").map((name) => name.trim());
