import { type Command, InvalidArgumentError } from "commander";
import type { BackendChoice } from "../backend/choose.js";
import type { WeightType } from "../dtype/dtype.js";
import type { GPT2 } from "../gpt2.js";

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

export interface ModelFlags {
  readonly model?: string;
  readonly dtype?: WeightType;
  readonly backend?: BackendChoice;
  readonly threads?: number;
}

/** Adds the options that say which model runs, and on what. */
export function addModelOptions(command: Command): Command {
  return command
    .option(
      "-m, --model <path>",
      "a Hugging Face folder, .safetensors or llm.c .bin (default: the package's own model)",
    )
    .option("--dtype <type>", "hold the weights in f32, f16, bf16, q8_0 or q4_0 (default: as the file does)")
    .option("--threads <n>", "threads that compute (default: all processors, or GPT2_THREADS)", number)
    .option("--backend <name>", "auto, native, wasm or reference (default: auto, or GPT2_BACKEND)");
}

/** Loads the model the flags name. Says so if it will be slow. */
export async function loadModel({ model, dtype, backend, threads }: ModelFlags, signal: AbortSignal): Promise<GPT2> {
  const { GPT2 } = await import("../gpt2.js");
  const loaded = await GPT2.load(model, { dtype, backend, threads, signal });
  if (loaded.fallback) {
    process.stderr.write(
      `gpt2: running on ${loaded.backend.description}, slower, because: ${loaded.fallback.message}\n`,
    );
  }
  return loaded;
}
