import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { listInputs } from "../../data/inputs.js";
import { readDocuments } from "../../data/read-documents.js";
import { UsageError } from "../../errors.js";
import { saveTokenizer } from "../../tokenizer/files.js";
import { type TrainTokenizerProgress, trainTokenizer } from "../../tokenizer/train.js";
import { END_OF_TEXT } from "../../tokenizer/vocabulary.js";
import { formatBytes, formatDuration, type Progress, progress } from "../../util/progress.js";
import { interruptible } from "../interrupt.js";
import { unescapeText } from "../options.js";

interface TrainFlags {
  readonly vocabSize: number;
  readonly out: string;
  readonly special: string[];
  readonly minFrequency: number;
  readonly field: string;
  readonly splitOn?: string;
  readonly overwrite?: true;
  readonly progress?: true;
  readonly json?: true;
}

/** Adds `gpt2 tokenizer train`. */
export function registerTokenizer(program: Command): void {
  program
    .command("tokenizer")
    .description("make vocabularies")
    .command("train")
    .summary("learn a byte-level BPE vocabulary from text")
    .description(
      "Learn a byte-level BPE vocabulary, as GPT-2's but from your own text: text files, JSONL and folders of them\n" +
        "(.txt, .md, .jsonl, each also .gz or .zst). Writes tokenizer.json, vocab.json and merges.txt, which this program\n" +
        "and Hugging Face's tokenizers read. The same text always gives the same vocabulary.",
    )
    .argument("<inputs...>", "files and folders")
    .requiredOption("-v, --vocab-size <n>", "tokens in all: 256 bytes, the merges, the special tokens", integer)
    .requiredOption("-o, --out <dir>", "folder to write to")
    .option("--special <tokens...>", "special tokens, which get the last ids", [END_OF_TEXT])
    .option("--min-frequency <n>", "merge only pairs that occur this often", integer, 2)
    .option("--field <name>", "field of JSONL objects that holds the text", "text")
    .option("--split-on <text>", "text between documents in text files (default: a line <|endoftext|>)", unescapeText)
    .option("--overwrite", "replace the tokenizer that --out holds")
    .option("--progress", "print progress also where there is no terminal")
    .option("--json", "print what was made as JSON")
    .action(train);
}

async function train(inputs: string[], flags: TrainFlags): Promise<void> {
  refuseToReplace(flags);
  const { files } = listInputs(inputs);
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const reporter = new TrainReporter(total, flags.progress === true);
  const started = performance.now();
  await interruptible(async (signal) => {
    const documents = readDocuments(files, {
      textField: flags.field,
      separator: flags.splitOn,
      onRead: (file, bytes) => reporter.read(file, bytes),
    });
    const tokenizer = await trainTokenizer(documents, {
      vocabSize: flags.vocabSize,
      specialTokens: flags.special,
      minFrequency: flags.minFrequency,
      signal,
      onProgress: (state) => reporter.update(state),
    });
    await saveTokenizer(tokenizer, flags.out);
    reporter.done();
    const seconds = (performance.now() - started) / 1000;
    const { bytes, tokens, words } = reporter.last;
    const { vocabSize } = tokenizer;
    const made = { out: flags.out, vocabSize, bytes, words, bytesPerToken: bytes / tokens, seconds };
    process.stdout.write(flags.json ? `${JSON.stringify(made)}\n` : summary(made, flags.vocabSize));
  }).finally(() => reporter.done());
}

/** A model's ids mean nothing under another vocabulary. */
function refuseToReplace({ out, overwrite }: TrainFlags): void {
  const there = ["tokenizer.json", "vocab.json", "merges.txt"].find((name) => existsSync(join(out, name)));
  if (there === undefined || overwrite) return;
  throw new UsageError({
    op: `gpt2 tokenizer train: --out ${out}`,
    expected: "a folder without a tokenizer",
    got: `one that holds ${there}`,
    hint: "Add --overwrite to replace it.",
  });
}

interface Made {
  readonly out: string;
  readonly vocabSize: number;
  readonly bytes: number;
  readonly words: number;
  readonly bytesPerToken: number;
  readonly seconds: number;
}

function summary({ out, vocabSize, bytes, words, bytesPerToken, seconds }: Made, wanted: number): string {
  const time = seconds < 10 ? `${seconds.toFixed(1)} s` : formatDuration(seconds);
  const lines = [
    `read   ${formatBytes(bytes)} of text, ${words.toLocaleString("en")} distinct words`,
    `made   ${out}: ${vocabSize.toLocaleString("en")} tokens, ${bytesPerToken.toFixed(2)} bytes a token on this text, in ${time}`,
  ];
  if (vocabSize < wanted)
    lines.push(`note   fewer than ${wanted.toLocaleString("en")}: no pair is left that occurs often enough`);
  return `${lines.join("\n")}\n`;
}

/** One progress line for reading, then one for merging. */
class TrainReporter {
  last: TrainTokenizerProgress = { phase: "count", done: 0, total: 0, bytes: 0, words: 0, tokens: 0 };
  readonly #mode: "auto" | "plain";
  readonly #read: number[] = [];
  #line: Progress;

  constructor(bytesOnDisk: number, always: boolean) {
    this.#mode = always && !process.stderr.isTTY ? "plain" : "auto";
    this.#line = progress({ label: "reading", unit: "B", total: bytesOnDisk, mode: this.#mode });
  }

  read(file: number, bytes: number): void {
    this.#read[file] = bytes;
    const sum = this.#read.reduce((total, n) => total + n, 0);
    this.#line.update(sum, `${this.last.words.toLocaleString("en")} distinct words`);
  }

  update(state: TrainTokenizerProgress): void {
    if (state.phase === "merge" && this.last.phase === "count") {
      this.#line.done();
      this.#line = progress({ label: "merging", unit: "merges", total: state.total, mode: this.#mode });
    }
    this.last = state;
    if (state.phase === "merge") {
      this.#line.update(state.done, `${(state.bytes / state.tokens).toFixed(2)} bytes a token`);
    }
  }

  done(): void {
    this.#line.done();
  }
}

function integer(text: string): number {
  const value = Number(text.replaceAll("_", ""));
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError("Not a whole number.");
  return value;
}
