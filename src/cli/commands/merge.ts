import type { Command } from "commander";
import { printJson, printLines } from "../output.js";
import { interruptible } from "../signals.js";
import { convertWithProgress, type WritingFlags, writingModel } from "./convert.js";

interface MergeFlags extends WritingFlags {
  readonly model?: string;
}

const HELP = `
The adapter is a folder in PEFT's layout (adapter_config.json and
adapter_model.safetensors), such as gpt2 finetune writes, or one on the hub.
Target as for gpt2 convert: a folder, NAME.bin (llm.c) or NAME.gguf.

Examples:
  $ gpt2 merge runs/chat/adapter chat-model
  $ gpt2 merge runs/chat/adapter chat.gguf --model gpt2 --dtype q8_0`;

/** Adds `gpt2 merge`. */
export function registerMerge(program: Command): void {
  const command = program
    .command("merge")
    .summary("fold a LoRA adapter into a model")
    .description("Write a model with a LoRA adapter merged into its weights: a model like any other.")
    .argument("<adapter>", "a LoRA adapter")
    .argument("<out>", "a folder, NAME.bin or NAME.gguf")
    .option("-m, --model <name>", "the model it is for (default: the one that the adapter names)");
  writingModel(command).addHelpText("after", HELP).action(merge);
}

async function merge(adapter: string, out: string, { model, json, ...flags }: MergeFlags): Promise<void> {
  await interruptible(async (signal) => {
    const result = await convertWithProgress("merge", model, out, { ...flags, merge: adapter, signal });
    if (json) printJson(result);
    else printLines([result.from.path, `${result.path}, ${result.dtype}`]);
  });
}
