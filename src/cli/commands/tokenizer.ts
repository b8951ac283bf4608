import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { listInputs } from "../../data/inputs.js";
import { readDocuments } from "../../data/read-documents.js";
import { UsageError } from "../../errors.js";
import { saveTokenizer } from "../../tokenizer/files.js";
import { type TrainTokenizerProgress, trainTokenizer } from "../../tokenizer/train.js";
import { END_OF_TEXT } from "../../tokenizer/vocabulary.js";
import { formatBytes, type Progress, progress } from "../../util/progress.js";
import { addDocumentOptions, addReportOptions, count, progressMode } from "../options.js";
import { formatInteger, formatRows, formatSeconds, print, printJson } from "../output.js";
import { interruptible } from "../signals.js";

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
  const command = program
    .command("tokenizer")
    .summary("train tokenizers")
    .description("Train tokenizers.")
    .command("train")
    .summary("train a byte-level BPE tokenizer")
    .description(
      "Train a byte-level BPE tokenizer like GPT-2's on your own text: text files, JSONL and folders of them (.txt, " +
        ".md, .jsonl, each also .gz or .zst). Writes tokenizer.json, vocab.json, merges.txt and tokenizer_config.json, " +
        "which this program and Hugging Face's libraries read. The same text always gives the same vocabulary.",
    )
    .argument("<inputs...>", "files and folders")
    .requiredOption("-v, --vocab-size <n>", "number of tokens: 256 bytes, merges and special tokens", count)
    .requiredOption("-o, --out <dir>", "folder to write to")
    .option("--special <tokens...>", "special tokens, which take the last ids", [END_OF_TEXT])
    .option("--min-frequency <n>", "merge only pairs that occur this often", count, 2)
    .option("--overwrite", "replace the tokenizer in --out");
  addReportOptions(addDocumentOptions(command)).action(train);
}

async function train(inputs: string[], flags: TrainFlags): Promise<void> {
  refuseToReplace(flags);
  const { files } = listInputs(inputs);
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const reporter = new TokenizerProgress(total, progressMode(flags));
  const started = performance.now();
  await interruptible(async (signal) => {
    const documents = readDocuments(files, {
      textField: flags.field,
      separator: flags.splitOn,
      onRead: (file, bytes) => reporter.read(file, bytes),
      signal,
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
    if (flags.json) printJson(made);
    else print(summary(made, flags.vocabSize));
  }).finally(() => reporter.done());
}

/** Refuses to replace a tokenizer, whose ids a model may depend on. */
function refuseToReplace({ out, overwrite }: TrainFlags): void {
  const there = ["tokenizer.json", "vocab.json", "merges.txt"].find((name) => existsSync(join(out, name)));
  if (there === undefined || overwrite) return;
  throw new UsageError({
    op: `gpt2 tokenizer train: --out ${out}`,
    expected: "a folder without a tokenizer",
    got: `one that holds ${there}`,
    hint: "Add --overwrite to replace it",
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
  const ratio = `${bytesPerToken.toFixed(2)} bytes per token on this text`;
  return formatRows([
    ["read", `${formatBytes(bytes)} of text, ${formatInteger(words)} distinct words`],
    ["made", `${out}: ${formatInteger(vocabSize)} tokens, ${ratio}, in ${formatSeconds(seconds)}`],
    ...(vocabSize < wanted
      ? [["note", `fewer than ${formatInteger(wanted)}: no other pair occurs often enough`] as const]
      : []),
  ]);
}

/** One progress line for reading, then one for merging. */
class TokenizerProgress {
  last: TrainTokenizerProgress = { phase: "count", done: 0, total: 0, bytes: 0, words: 0, tokens: 0 };
  readonly #mode: "auto" | "plain";
  readonly #read: number[] = [];
  #line: Progress;

  constructor(bytesOnDisk: number, mode: "auto" | "plain") {
    this.#mode = mode;
    this.#line = progress({ label: "reading", unit: "B", total: bytesOnDisk, mode: this.#mode });
  }

  read(file: number, bytes: number): void {
    this.#read[file] = bytes;
    const sum = this.#read.reduce((total, n) => total + n, 0);
    this.#line.update(sum, `${formatInteger(this.last.words)} distinct words`);
  }

  update(state: TrainTokenizerProgress): void {
    if (state.phase === "merge" && this.last.phase === "count") {
      this.#line.done();
      this.#line = progress({ label: "merging", unit: "merges", total: state.total, mode: this.#mode });
    }
    this.last = state;
    if (state.phase === "merge") {
      this.#line.update(state.done, `${(state.bytes / state.tokens).toFixed(2)} bytes per token`);
    }
  }

  done(): void {
    this.#line.done();
  }
}
