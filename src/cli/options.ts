import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { BackendChoice } from "../backend/choose.js";
import { WEIGHT_TYPES, type WeightType } from "../dtype/dtype.js";
import type { GPT2 } from "../gpt2.js";
import type { LocateOptions } from "../hub/node.js";
import type { Checkpoint } from "../pretrained/index.js";
import { downloadLine } from "./download-line.js";

/** A number on the command line. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("Not a number.");
  return value;
}

/** A number that may be used with others: `--stop a --stop b`. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, unescapeText(text)];
}

/** `\n` and the like as they are written on a command line. */
export function unescapeText(text: string): string {
  const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "\\": "\\" };
  return text.replace(/\\([nrt\\])/g, (_, letter: string) => escapes[letter]!);
}

/** What a model may be called, wherever one is asked for. */
export const MODEL_NAMES =
  "gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2, a model of\nthe Hugging Face hub (owner/name, owner/name@revision, owner/name/file.gguf), an\naddress (https://…), a folder, a file";

export interface ModelFlags {
  readonly model?: string;
  readonly adapter?: string;
  readonly offline?: true;
  readonly dtype?: WeightType;
  readonly backend?: BackendChoice;
  readonly threads?: number;
}

/** Adds the options that say which model runs, and on what. */
export function addModelOptions(command: Command): Command {
  return command
    .option("-m, --model <name>", "gpt2, owner/name of the hub, a folder or file (default: the package's own model)")
    .option(
      "--adapter <dir>",
      "a LoRA adapter to use, of gpt2 finetune or PEFT; without --model, that for which it was made",
    )
    .addOption(
      new Option("--dtype <type>", "hold the weights in this (default: as the file does)").choices(WEIGHT_TYPES),
    )
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache")
    .option("--threads <n>", "threads that compute (default: all processors, or GPT2_THREADS)", number)
    .option("--backend <name>", "auto, native, wasm or reference (default: auto, or GPT2_BACKEND)");
}

/** Loads the model the flags name. Says so if it will be slow. */
export async function loadModel(flags: ModelFlags, signal: AbortSignal): Promise<GPT2> {
  const { GPT2 } = await import("../gpt2.js");
  const { model, adapter, dtype, backend, threads, offline } = flags;
  const line = downloadLine();
  const options = { dtype, backend, threads, offline, signal, onDownload: line.onDownload };
  let loaded: GPT2;
  try {
    loaded = await GPT2.load(model, { ...options, ...(adapter && (await adapterOption(adapter, options))) });
  } finally {
    line.end();
  }
  if (loaded.fallback) {
    process.stderr.write(
      `gpt2: running on ${loaded.backend.description}, slower, because: ${loaded.fallback.message}\n`,
    );
  }
  return loaded;
}

/** Imported here alone: most calls have no adapter. */
async function adapterOption(adapter: string, options: LocateOptions) {
  const { withAdapter } = await import("../pretrained/load-adapters.js");
  return withAdapter(adapter, options);
}

interface FetchFlags {
  readonly offline?: true | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the model or adapter of that name is, once it is on this machine. */
export async function fetchedPath(name: string, { offline, signal }: FetchFlags): Promise<string> {
  if (existsSync(name)) return name;
  const { fetchGpt2 } = await import("../pretrained/load.js");
  const line = downloadLine();
  try {
    return (await fetchGpt2(name, { offline, signal, onDownload: line.onDownload })).path;
  } finally {
    line.end();
  }
}

/** Opens the model of that name without loading it. */
export async function openNamedModel(name: string | undefined, { offline, signal }: FetchFlags): Promise<Checkpoint> {
  const { openModel } = await import("../pretrained/load.js");
  const line = downloadLine();
  try {
    return await openModel(name, { offline, signal, onDownload: line.onDownload });
  } finally {
    line.end();
  }
}
