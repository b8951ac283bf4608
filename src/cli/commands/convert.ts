import { type Command, Option } from "commander";
import { WEIGHT_TYPES, type WeightType } from "../../dtype/dtype.js";
import {
  CONVERT_FORMATS,
  type ConvertedModel,
  type ConvertFormat,
  type ConvertOptions,
  convertModel,
} from "../../pretrained/convert.js";
import { formatNamed } from "../../pretrained/formats.js";
import { formatBytes, progress } from "../../util/progress.js";
import { downloadLine } from "../model.js";
import { MODEL_NAMES } from "../options.js";
import { formatInteger, printJson, printLines } from "../output.js";
import { interruptible } from "../signals.js";

/** Flags of every command that writes a model: see {@link writingModel}. */
export interface WritingFlags {
  readonly to?: ConvertFormat;
  readonly dtype?: WeightType;
  readonly offline?: true;
  readonly overwrite?: true;
  readonly json?: true;
}

/** Adds the options of {@link WritingFlags}. */
export const writingModel = (command: Command): Command =>
  command
    .addOption(new Option("--to <format>", "format to write, whatever the name").choices(CONVERT_FORMATS))
    .addOption(new Option("--dtype <type>", "storage dtype of the weights").choices(WEIGHT_TYPES))
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache")
    .option("--overwrite", "replace an existing output")
    .option("--json", "print JSON: the files read and written");

const HELP = `
Source: ${MODEL_NAMES}.
Target, by its name or --to:
  a folder      Hugging Face: config.json, model.safetensors, tokenizer files
  NAME.bin      llm.c, with gpt2_tokenizer.bin and tokenizer.json beside it
  NAME.gguf     llama.cpp, tokenizer included

Types: f32, f16 and bf16 for Hugging Face, f32 and bf16 for llm.c, all for GGUF;
by default the source's type if the target has it, else f32.

Examples:
  $ gpt2 convert gpt2 gpt2.gguf --dtype q8_0
  $ gpt2 convert out/ckpt.pt my-model
  $ gpt2 convert my-model llmc/gpt2_124M.bin --dtype bf16`;

/** Adds `gpt2 convert`. */
export function registerConvert(program: Command): void {
  const command = program
    .command("convert")
    .summary("write a model in another format")
    .description("Write a model in another format, with its tokenizer.")
    .argument("<from>", "a model")
    .argument("<to>", "a folder, NAME.bin or NAME.gguf");
  writingModel(command).addHelpText("after", HELP).action(convert);
}

async function convert(from: string, to: string, { json, ...flags }: WritingFlags): Promise<void> {
  await interruptible(async (signal) => {
    const result = await convertWithProgress("convert", from, to, { ...flags, signal });
    if (json) printJson(result);
    else printLines(report(result));
  });
}

/** Runs {@link convertModel} with a progress line, for every command that writes a model. */
export async function convertWithProgress(
  label: string,
  from: string | undefined,
  to: string,
  options: ConvertOptions,
): Promise<ConvertedModel> {
  const downloads = downloadLine();
  const line = progress({ label, unit: "B" });
  const onProgress = (done: number, total: number): void => {
    line.setTotal(total);
    line.update(done);
  };
  try {
    return await convertModel(from, to, { ...options, onProgress, onDownload: downloads.onDownload });
  } finally {
    downloads.end();
    line.done();
  }
}

/** Total size of files, in bytes. */
export const totalSize = (files: readonly { readonly size: number }[]): number =>
  files.reduce((sum, { size }) => sum + size, 0);

function report({ from, path, format, dtype, files, tokenizer }: ConvertedModel): string[] {
  const size = formatBytes(totalSize(files));
  const count = files.length === 1 ? "one file" : `${files.length} files`;
  const tokens = tokenizer === undefined ? "no tokenizer" : `a tokenizer of ${formatInteger(tokenizer)} tokens`;
  return [
    `${from.path}  ${formatNamed(from.format).title}, ${from.dtype}`,
    `${path}  ${formatNamed(format).title}, ${dtype}, ${tokens}, ${size} in ${count}`,
  ];
}
