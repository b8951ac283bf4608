import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import type { DatasetInfo, SplitInfo } from "../../data/dataset-info.js";
import { prepareData } from "../../data/prepare.js";
import { loadTokenizer } from "../../tokenizer/files.js";
import { gpt2Tokenizer } from "../../tokenizer/gpt2.js";
import { formatBytes, formatCount, formatDuration, progress } from "../../util/progress.js";
import { number, unescapeText } from "../options.js";

interface DataOptions {
  readonly out: string;
  readonly tokenizer: string;
  readonly valFraction?: number;
  readonly val?: string[];
  readonly shardTokens: number;
  readonly workers?: number;
  readonly field: string;
  readonly splitOn?: string;
  readonly seed: number;
  readonly overwrite?: true;
  readonly progress?: true;
  readonly json?: true;
}

/** Adds `gpt2 data`. */
export function registerData(program: Command): void {
  program
    .command("data")
    .summary("turn text into token shards to train on")
    .description(
      "Turn text files, JSONL and folders of them (.txt, .md, .jsonl, each also .gz or .zst) into llm.c token shards.\n" +
        "A text file is one document, or several separated by lines that are <|endoftext|>; a JSONL line is one.",
    )
    .argument("<inputs...>", "files and folders")
    .requiredOption("-o, --out <dir>", "folder to make")
    .option("--tokenizer <name>", '"gpt2", a folder or a tokenizer.json', "gpt2")
    .option("--val-fraction <share>", "share of the documents to hold out (default: 0.01)", number)
    .option("--val <inputs...>", "files and folders to hold out instead")
    .option("--shard-tokens <n>", "tokens in a shard; 1e6, 10M", count, 100_000_000)
    .option("--workers <n>", "worker threads (default: one a core)", count)
    .option("--field <name>", "field of JSONL objects that holds the text", "text")
    .option("--split-on <text>", "separator of documents in text files; \\n and \\t are understood", unescapeText)
    .option("--seed <n>", "of the choice of held-out documents", count, 1337)
    .option("--overwrite", "replace the data set that --out holds")
    .option("--progress", "print progress also where there is no terminal")
    .option("--json", "print what was made as JSON")
    .action(run);
}

async function run(inputs: string[], options: DataOptions): Promise<void> {
  const tokenizer = options.tokenizer === "gpt2" ? await gpt2Tokenizer() : await loadTokenizer(options.tokenizer);
  const line = progress({
    label: "data",
    unit: "B",
    mode: options.progress && !process.stderr.isTTY ? "plain" : "auto",
  });
  const controller = new AbortController();
  const stop = () => controller.abort();
  process.once("SIGINT", stop);
  const started = performance.now();
  try {
    const info = await prepareData(inputs, {
      out: options.out,
      tokenizer,
      tokenizerName: options.tokenizer,
      valFraction: options.valFraction,
      valInputs: options.val,
      shardTokens: options.shardTokens,
      workers: options.workers,
      textField: options.field,
      separator: options.splitOn,
      seed: options.seed,
      overwrite: options.overwrite,
      signal: controller.signal,
      onProgress: ({ bytesRead, bytesTotal, tokens }) => {
        line.setTotal(bytesTotal);
        line.update(bytesRead, `${formatCount(tokens)} tokens`);
      },
    });
    line.done();
    const seconds = (performance.now() - started) / 1000;
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ out: options.out, seconds, ...info }, null, 2)}\n`
        : summary(info, options.out, seconds),
    );
  } catch (error) {
    line.done();
    if (!controller.signal.aborted) throw error;
    process.stderr.write("Stopped. Nothing was written.\n");
    process.exitCode = 130;
  } finally {
    process.removeListener("SIGINT", stop);
  }
}

/** What was made, for people. */
function summary(info: DatasetInfo, out: string, seconds: number): string {
  const { train, val } = info.splits;
  const bytes = train.bytes + (val?.bytes ?? 0);
  const tokens = train.tokens + (val?.tokens ?? 0);
  const lines = [splitLine("train", train), val === undefined ? "val    none" : splitLine("val", val)];
  if (info.settings.heldOut === "tail") {
    lines.push("       Too few documents to hold some out: the end of the text is held out instead.");
  }
  lines.push(
    `made   ${out}: vocabulary ${info.tokenizer.vocabSize.toLocaleString("en")} (${info.tokenizer.name}), ` +
      `${(bytes / tokens).toFixed(2)} bytes a token, in ${seconds < 10 ? `${seconds.toFixed(1)} s` : formatDuration(seconds)} ` +
      `(${formatBytes(bytes / seconds)}/s)`,
  );
  const notes = [
    [info.replaced, "invalid UTF-8 sequences were replaced by U+FFFD"],
    [info.empty, "documents of white space only were left out"],
    [info.skippedFiles, "files were skipped, being neither text nor JSONL by their names"],
  ] as const;
  for (const [n, text] of notes) if (n > 0) lines.push(`note   ${n.toLocaleString("en")} ${text}`);
  return `${lines.join("\n")}\n`;
}

function splitLine(name: string, split: SplitInfo): string {
  const shards = `${split.shards.length} ${split.shards.length === 1 ? "shard" : "shards"}`;
  const documents = `${split.documents.toLocaleString("en")} ${split.documents === 1 ? "document" : "documents"}`;
  return `${name.padEnd(6)} ${split.tokens.toLocaleString("en")} tokens of ${documents}, ${formatBytes(split.bytes)}, in ${shards}`;
}

const SCALES: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, b: 1e9 };

/** `1000`, `1e6`, `10M`. */
function count(text: string): number {
  const scale = SCALES[text.slice(-1).toLowerCase()];
  const value = scale === undefined ? number(text) : Math.round(number(text.slice(0, -1)) * scale);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("Not a whole number.");
  return value;
}
