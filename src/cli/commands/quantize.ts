import { existsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { type Command, Option } from "commander";
import type { ModelConfig } from "../../architectures/config.js";
import { tensorTable } from "../../architectures/registry.js";
import { DTYPES, WEIGHT_TYPES, type WeightType } from "../../dtype/dtype.js";
import { UsageError } from "../../errors.js";
import { type Checkpoint, FORMAT_NAMES } from "../../pretrained/index.js";
import { defaultModelFolder, tokenizerOf } from "../../pretrained/load.js";
import { ggufTypes, saveGguf } from "../../pretrained/node.js";
import { formatBytes, progress } from "../../util/progress.js";
import { openNamedModel } from "../model.js";
import { formatSeconds, printLines } from "../output.js";
import { interruptible } from "../signals.js";

interface QuantizeFlags {
  readonly to: WeightType;
  readonly out?: string;
  readonly offline?: true;
  readonly overwrite?: true;
}

const HELP = `
The file holds the tokenizer too, and llama.cpp runs it. Types by size: f32 (4
bytes a weight), f16 and bf16 (2), q8_0 (1.06), q4_0 (0.56). Biases, norms and
position embeddings stay in f32, as in every GGUF file of a GPT-2.

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
    .addOption(new Option("--to <type>", "what to hold the weights in").choices(WEIGHT_TYPES).default("q8_0"))
    .option("-o, --out <file>", "file to write (default: MODEL-TYPE.gguf in this folder)")
    .option("--overwrite", "replace the file if it is there")
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache")
    .addHelpText("after", HELP)
    .action(quantize);
}

async function quantize(model: string | undefined, flags: QuantizeFlags): Promise<void> {
  const stem = stemOf(model ?? defaultModelFolder());
  const out = flags.out ?? `${stem}-${flags.to}.gguf`;
  if (!flags.overwrite && existsSync(out)) {
    const hint = "Choose another name with --out, or --overwrite";
    throw new UsageError({ op: "gpt2 quantize", expected: `nothing at ${out}`, got: "a file or folder", hint });
  }
  await interruptible(async (signal) => {
    const checkpoint = await openNamedModel(model, { offline: flags.offline, signal });
    try {
      await write(checkpoint, stem, out, flags.to, signal);
    } finally {
      checkpoint.close();
    }
  });
}

async function write(
  checkpoint: Checkpoint,
  stem: string,
  out: string,
  dtype: WeightType,
  signal: AbortSignal,
): Promise<void> {
  const { config, tensors, bosTokenId, eosTokenId } = checkpoint;
  const started = performance.now();
  const line = progress({ label: `writing ${basename(out)}`, unit: "B" });
  let size: number;
  try {
    const source = {
      config,
      tensors: tensors.values(),
      tokenizer: await tokenizerOf(checkpoint),
      bosTokenId,
      eosTokenId,
    };
    size = await saveGguf(out, source, {
      dtype,
      general: { name: stem, ...generalOf(checkpoint) },
      signal,
      onProgress: (bytes, total) => {
        line.setTotal(total);
        line.update(bytes);
      },
    });
  } finally {
    line.done();
  }
  const seconds = (performance.now() - started) / 1000;
  printLines(report(checkpoint, out, dtype, size, seconds));
}

/** Names that say nothing about a model, after which its folder is called. */
const COMMON_STEMS = ["model", "pytorch_model", "ckpt", "weights"];

/** What to call the new file after: a folder or a file without its extension, a hub id without its owner. */
export function stemOf(model: string): string {
  const path = resolve(model);
  const name = basename(path).replace(/\.(safetensors|gguf|bin|pt|ckpt|json)$/, "");
  const stem = COMMON_STEMS.includes(name) ? basename(dirname(path)) : name;
  return stem.replace(new RegExp(`[-.](${WEIGHT_TYPES.join("|")})$`, "i"), "");
}

/** What a GGUF file says about its model goes on to the new one. */
function generalOf({ format, metadata }: Checkpoint): Readonly<Record<string, string>> {
  return format === "gguf" ? metadata : {};
}

function report(checkpoint: Checkpoint, out: string, dtype: WeightType, size: number, seconds: number): string[] {
  const { path, format, dtype: was, files, config } = checkpoint;
  const before = files.reduce((sum, file) => sum + file.size, 0);
  return [
    `${path}  ${FORMAT_NAMES[format]}, ${was}, ${formatBytes(before)}`,
    `${out}  GGUF, ${dtype}, ${formatBytes(size)}, ${factor(before, size)}, in ${formatSeconds(seconds)}`,
    ...otherTypes(config, dtype),
  ];
}

const factor = (before: number, after: number): string =>
  after <= before ? `${(before / after).toFixed(2)} times smaller` : `${(after / before).toFixed(2)} times larger`;

/** Matrices whose rows are no whole blocks, by the type they were written in instead. */
function otherTypes(config: ModelConfig, dtype: WeightType): string[] {
  const types = ggufTypes(config, dtype);
  const kept = tensorTable(config).filter(({ name, init, shape }) => {
    return shape.length === 2 && init !== "position" && types.get(name) !== dtype;
  });
  if (kept.length === 0) return [];
  const widths = [...new Set(kept.map(({ shape }) => shape.at(-1)))].join(", ");
  const names = kept.map(({ name }) => name);
  const listed = names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
  const type = types.get(names[0]!);
  return [`in ${type}, because rows of ${widths} values are no whole blocks of ${DTYPES[dtype].block}: ${listed}`];
}
