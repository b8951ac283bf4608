import { basename } from "node:path";
import { type Command, Option } from "commander";
import { DTYPES, WEIGHT_TYPES, type WeightType } from "../../dtype/dtype.js";
import { type ConvertedModel, stemOf } from "../../pretrained/convert.js";
import { formatNamed } from "../../pretrained/formats.js";
import { defaultModelFolder } from "../../pretrained/load.js";
import { formatBytes } from "../../util/progress.js";
import { formatSeconds, printLines } from "../output.js";
import { interruptible } from "../signals.js";
import { convertWithProgress, totalSize } from "./convert.js";

interface QuantizeFlags {
  readonly to: WeightType;
  readonly out?: string;
  readonly offline?: true;
  readonly overwrite?: true;
}

const HELP = `
The same as gpt2 convert MODEL MODEL-TYPE.gguf --dtype TYPE. The file holds the
tokenizer too, and llama.cpp runs it. Types by size: f32 (4 bytes a weight), f16
and bf16 (2), q8_0 (1.06), q4_0 (0.56). Biases, norms and position embeddings
stay in f32, as in every GGUF file of a GPT-2.

Examples:
  $ gpt2 quantize gpt2 --to q8_0                      makes gpt2-q8_0.gguf
  $ gpt2 quantize path/to/model --to q4_0 --out small.gguf
  $ gpt2 --model small.gguf "Once upon a time"`;

/** Adds `gpt2 quantize`. */
export function registerQuantize(program: Command): void {
  program
    .command("quantize")
    .summary("make a smaller, faster copy of a model")
    .description("Write a model as one GGUF file, with its weights in another type.")
    .argument("[model]", "as for --model (default: the package's own model)")
    .addOption(new Option("--to <type>", "storage dtype of the weights").choices(WEIGHT_TYPES).default("q8_0"))
    .option("-o, --out <file>", "file to write (default: MODEL-TYPE.gguf in this folder)")
    .option("--overwrite", "replace an existing file")
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache")
    .addHelpText("after", HELP)
    .action(quantize);
}

async function quantize(model: string | undefined, { to: dtype, out, ...flags }: QuantizeFlags): Promise<void> {
  const target = out ?? `${stemOf(model ?? defaultModelFolder())}-${dtype}.gguf`;
  await interruptible(async (signal) => {
    const started = performance.now();
    const options = { ...flags, to: "gguf", dtype, signal } as const;
    const result = await convertWithProgress(`writing ${basename(target)}`, model, target, options);
    printLines(report(result, (performance.now() - started) / 1000));
  });
}

function report({ from, path, dtype, others, files }: ConvertedModel, seconds: number): string[] {
  const [before, after] = [totalSize(from.files), totalSize(files)];
  return [
    `${from.path}  ${formatNamed(from.format).title}, ${from.dtype}, ${formatBytes(before)}`,
    `${path}  GGUF, ${dtype}, ${formatBytes(after)}, ${factor(before, after)}, in ${formatSeconds(seconds)}`,
    ...otherTypes(others, dtype),
  ];
}

const factor = (before: number, after: number): string =>
  after <= before ? `${(before / after).toFixed(2)} times smaller` : `${(after / before).toFixed(2)} times larger`;

/** Matrices whose rows are not whole blocks, by the dtype in which they were written instead. */
function otherTypes(others: ConvertedModel["others"], dtype: WeightType): string[] {
  if (others.length === 0) return [];
  const widths = [...new Set(others.map(({ shape }) => shape.at(-1)))].join(", ");
  const names = others.map(({ name }) => name);
  const listed = names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
  const reason = `because rows of ${widths} values are not whole blocks of ${DTYPES[dtype].block}`;
  return [`in ${others[0]!.dtype}, ${reason}: ${listed}`];
}
