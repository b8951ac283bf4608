import { type Command, Option } from "commander";
import { WEIGHT_TYPES, type WeightType } from "../../dtype/dtype.js";
import { CONVERT_FORMATS, type ConvertFormat } from "../../pretrained/convert.js";
import { printJson, printLines } from "../output.js";
import { interruptible } from "../signals.js";
import { convertWithProgress } from "./convert.js";

interface MergeFlags {
  readonly model?: string;
  readonly to?: ConvertFormat;
  readonly dtype?: WeightType;
  readonly offline?: true;
  readonly overwrite?: true;
  readonly json?: true;
}

const HELP = `
The adapter is a folder in PEFT's layout (adapter_config.json and
adapter_model.safetensors), such as gpt2 finetune writes, or one of the hub.
Target as for gpt2 convert: a folder, NAME.bin (llm.c) or NAME.gguf.

Examples:
  $ gpt2 merge runs/chat/adapter chat-model
  $ gpt2 merge runs/chat/adapter chat.gguf --model gpt2 --dtype q8_0`;

/** Adds `gpt2 merge`. */
export function registerMerge(program: Command): void {
  program
    .command("merge")
    .summary("fold a LoRA adapter into a model")
    .description("Write a model with a LoRA adapter folded into its weights: a model like any other.")
    .argument("<adapter>", "a LoRA adapter")
    .argument("<out>", "a folder, NAME.bin or NAME.gguf")
    .option("-m, --model <name>", "the model it is for (default: the one that the adapter names)")
    .addOption(new Option("--to <format>", "format to write, whatever the name").choices(CONVERT_FORMATS))
    .addOption(new Option("--dtype <type>", "storage dtype of the weights").choices(WEIGHT_TYPES))
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache")
    .option("--overwrite", "replace what is there")
    .option("--json", "print JSON: what was read and written")
    .addHelpText("after", HELP)
    .action(merge);
}

async function merge(adapter: string, out: string, { model, json, ...flags }: MergeFlags): Promise<void> {
  await interruptible(async (signal) => {
    const result = await convertWithProgress("merge", model, out, { ...flags, merge: adapter, signal });
    if (json) printJson(result);
    else printLines([result.from.path, `${result.path}, ${result.dtype}`]);
  });
}
