import { type Command, InvalidArgumentError, Option } from "commander";
import { CACHE_TYPES, WEIGHT_TYPES } from "../dtype/dtype.js";
import { PRECISIONS } from "../program/precision.js";

const SCALES: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, b: 1e9 };

/** A number: `1000`, `1_000`, `6e-4`, `0.5M`. */
export function number(text: string): number {
  const value = parse(text);
  if (Number.isNaN(value)) throw new InvalidArgumentError("Not a number.");
  return value;
}

/** A non-negative integer, written like a {@link number}. */
export function count(text: string): number {
  const value = parse(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError("Not a whole number.");
  return value;
}

function parse(text: string): number {
  const digits = text.replaceAll("_", "").trim();
  const plain = digits === "" ? Number.NaN : Number(digits);
  const scale = SCALES[digits.slice(-1).toLowerCase()];
  if (!Number.isNaN(plain) || scale === undefined || digits.length === 1) return plain;
  // 15 digits: 1.1k is 1100, not 1100.0000000000002.
  return Number((Number(digits.slice(0, -1)) * scale).toPrecision(15));
}

/** A number from 0 to 1. */
export function share(text: string): number {
  const value = number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError("Not a share from 0 to 1.");
  return value;
}

/** A text that may be given several times: `--stop a --stop b`. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, unescapeText(text)];
}

/** A text in which `\n`, `\r`, `\t` and `\\` are escapes. */
export function unescapeText(text: string): string {
  const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "\\": "\\" };
  return text.replace(/\\([nrt\\])/g, (_, letter: string) => escapes[letter]!);
}

/** The forms of a model's name, for the help. */
export const MODEL_NAMES =
  "gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2, a model of\nthe Hugging Face hub (owner/name, owner/name@revision, owner/name/file.gguf), an\naddress (https://…), a folder, a file";

export const MODEL_FLAG = "gpt2, owner/name of the hub, a folder or file (default: the package's own model)";

/** Adds `--threads` and `--backend`. */
export function addMachineOptions(command: Command): Command {
  return command
    .option("--threads <n>", "number of compute threads (default: all processors, or GPT2_THREADS)", number)
    .addOption(
      new Option("--backend <name>", "what computes (default: auto, or GPT2_BACKEND)").choices([
        "auto",
        "native",
        "wasm",
        "reference",
      ]),
    );
}

/** Adds the options for the model and its backend. */
export function addModelOptions(command: Command): Command {
  command
    .option("-m, --model <name>", MODEL_FLAG)
    .option("--adapter <dir>", "a LoRA adapter of gpt2 finetune or PEFT; without --model, on the model it was made for")
    .addOption(
      new Option("--dtype <type>", "storage dtype of the weights (default: as in the file)").choices(WEIGHT_TYPES),
    )
    .addOption(computeOption())
    .addOption(
      new Option("--kv <type>", "storage dtype of keys and values (default: f32 for weights in f32, else f16)").choices(
        CACHE_TYPES,
      ),
    )
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache");
  return addMachineOptions(command);
}

/** Adds the options for the BERT and its backend. */
export function addEncoderOptions(command: Command): Command {
  command
    .requiredOption("-m, --model <name>", "a BERT: owner/name of the hub, a folder or file")
    .option("--adapter <name>", "a LoRA adapter to merge into it")
    .addOption(
      new Option("--dtype <type>", "storage dtype of the weights (default: as in the file)").choices(WEIGHT_TYPES),
    )
    .addOption(computeOption())
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache");
  return addMachineOptions(command);
}

const computeOption = (): Option =>
  new Option(
    "--compute <type>",
    "precision of matrix products (default: bf16 for weights in bf16; for 8-bit and 4-bit weights what is fastest; else f32)",
  ).choices(PRECISIONS);

/** Adds the options of commands that read texts from files and folders. */
export function addDocumentOptions(command: Command): Command {
  return command
    .option("--field <name>", "field of JSONL objects that holds the text", "text")
    .option(
      "--split-on <text>",
      "text between documents in text files; \\n and \\t are understood (default: a line <|endoftext|>)",
      unescapeText,
    );
}

/** Adds `--progress` and `--json`. */
export function addReportOptions(command: Command, json = "print JSON"): Command {
  return command.option("--progress", "print progress even without a terminal").option("--json", json);
}

/** The mode of progress lines: without a terminal, `--progress` writes ordinary lines. */
export const progressMode = ({ progress }: { readonly progress?: true }): "plain" | "auto" =>
  progress && !process.stderr.isTTY ? "plain" : "auto";
