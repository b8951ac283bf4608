import type { Command } from "commander";
import type { DatasetInfo, SplitInfo } from "../../data/dataset-info.js";
import { prepareData } from "../../data/prepare.js";
import { formatBytes, formatCount, progress } from "../../util/progress.js";
import { loadNamedTokenizer } from "../model.js";
import { noteNothingWritten } from "../new-output.js";
import { addDocumentOptions, addReportOptions, count, number, progressMode } from "../options.js";
import { formatInteger, formatRows, formatSeconds, plural, print, printJson } from "../output.js";
import { interruptible } from "../signals.js";

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
  const command = program
    .command("data")
    .summary("prepare text: token shards for training")
    .description(
      "Encode text files, JSONL and folders of them (.txt, .md, .jsonl, each also .gz or .zst) to llm.c token shards.\n" +
        "A text file is one document, or several separated by lines <|endoftext|>; a JSONL line is one.",
    )
    .argument("<inputs...>", "files and folders")
    .requiredOption("-o, --out <dir>", "folder to make")
    .option("--tokenizer <name>", '"gpt2", or a folder, tokenizer.json or .gguf with one', "gpt2")
    .option("--val-fraction <share>", "share of the documents to hold out (default: 0.01)", number)
    .option("--val <inputs...>", "files and folders to hold out instead")
    .option("--shard-tokens <n>", "tokens in a shard; 1e6, 10M", count, 100_000_000)
    .option("--workers <n>", "worker threads (default: one per core)", count)
    .option("--seed <n>", "seed of the choice of held-out documents", count, 1337)
    .option("--overwrite", "replace the data set in --out");
  addReportOptions(addDocumentOptions(command)).action(run);
}

async function run(inputs: string[], options: DataOptions): Promise<void> {
  const tokenizer = await loadNamedTokenizer(options.tokenizer);
  const line = progress({ label: "data", unit: "B", mode: progressMode(options) });
  const started = performance.now();
  await interruptible(async (signal) => {
    noteNothingWritten(signal, line);
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
      signal,
      onProgress: ({ bytesRead, bytesTotal, tokens }) => {
        line.setTotal(bytesTotal);
        line.update(bytesRead, `${formatCount(tokens)} tokens`);
      },
    });
    line.done();
    const seconds = (performance.now() - started) / 1000;
    if (options.json) printJson({ out: options.out, seconds, ...info });
    else print(summary(info, options.out, seconds));
  }).finally(() => line.done());
}

/** Describes the data set. */
function summary(info: DatasetInfo, out: string, seconds: number): string {
  const { train, val } = info.splits;
  const { vocabSize, name } = info.tokenizer;
  const bytes = train.bytes + (val?.bytes ?? 0);
  const tokens = train.tokens + (val?.tokens ?? 0);
  const vocabulary = `vocabulary ${formatInteger(vocabSize)} (${name})`;
  const rate = `in ${formatSeconds(seconds)} (${formatBytes(bytes / seconds)}/s)`;
  const notes = [
    [info.replaced, "invalid UTF-8 sequences were replaced by U+FFFD"],
    [info.empty, "documents of white space only were left out"],
    [info.skippedFiles, "files were skipped: their names are neither text nor JSONL"],
  ] as const;
  return formatRows([
    ["train", describeSplit(train)],
    ["val", val === undefined ? "none" : describeSplit(val)],
    ...(info.settings.heldOut === "tail"
      ? [["", "Too few documents to hold some out: the end of the text is held out instead."] as const]
      : []),
    ["made", `${out}: ${vocabulary}, ${(bytes / tokens).toFixed(2)} bytes per token, ${rate}`],
    ...notes.flatMap(([n, text]) => (n > 0 ? [["note", `${formatInteger(n)} ${text}`] as const] : [])),
  ]);
}

function describeSplit({ tokens, documents, bytes, shards }: SplitInfo): string {
  return `${formatInteger(tokens)} tokens of ${plural(documents, "document")}, ${formatBytes(bytes)}, in ${plural(shards.length, "shard")}`;
}
