import type { Command } from "commander";
import { buildIndex } from "../../misuse/trace/build-index.js";
import { defaultModelFolder } from "../../pretrained/load.js";
import { formatBytes, formatCount, progress } from "../../util/progress.js";
import { loadNamedTokenizer } from "../model.js";
import { noteNothingWritten, refuseToReplace } from "../new-output.js";
import { addDocumentOptions, addReportOptions, count, progressMode } from "../options.js";
import { formatInteger, formatRows, formatSeconds, plural, print, printJson } from "../output.js";
import { interruptible } from "../signals.js";

interface IndexFlags {
  readonly out: string;
  readonly tokenizer?: string;
  readonly workers?: number;
  readonly field: string;
  readonly splitOn?: string;
  readonly overwrite?: true;
  readonly progress?: true;
  readonly json?: true;
}

const HELP = `
The index holds the tokens of the corpus and the order of all their suffixes: 6 bytes
per token on disk, and 7 bytes of memory per token while it is made. For gpt2 extract
its tokenizer must be the model's.

Examples:
  $ gpt2 index train-*.txt.gz --out corpus.index
  $ gpt2 index stories/ --tokenizer runs/a/model --out stories.index`;

/** Adds `gpt2 index`. */
export function registerIndex(program: Command): void {
  const command = program
    .command("index")
    .summary("index a corpus, for gpt2 trace and gpt2 extract")
    .description(
      "Index a corpus, in which any run of tokens can then be found: text files, JSONL and folders of them (.txt, .md, " +
        ".jsonl, each also .gz or .zst).",
    )
    .argument("<inputs...>", "files and folders")
    .requiredOption("-o, --out <dir>", "folder to make")
    .option(
      "--tokenizer <name>",
      '"gpt2", or a folder, tokenizer.json or .gguf with one (default: the package\'s model)',
    )
    .option("--workers <n>", "worker threads that encode (default: one per core)", count)
    .option("--overwrite", "replace the index in --out");
  addReportOptions(addDocumentOptions(command)).addHelpText("after", HELP).action(run);
}

async function run(inputs: string[], flags: IndexFlags): Promise<void> {
  const { out, overwrite } = flags;
  refuseToReplace("index", out, "folder", overwrite);
  const tokenizer = await loadNamedTokenizer(flags.tokenizer ?? defaultModelFolder());
  const line = progress({ label: "index", unit: "B", mode: progressMode(flags) });
  const started = performance.now();
  await interruptible(async (signal) => {
    noteNothingWritten(signal, line);
    const info = await buildIndex(inputs, {
      out,
      tokenizer,
      tokenizerName: flags.tokenizer ?? "the default model's",
      workers: flags.workers,
      textField: flags.field,
      separator: flags.splitOn,
      signal,
      onProgress: ({ phase, bytesRead, bytesTotal, tokens }) => {
        line.setTotal(bytesTotal);
        const what = { encode: "encoded", sort: "sorting", write: "writing" }[phase];
        line.update(bytesRead, `${what} ${formatCount(tokens)} tokens`);
      },
    });
    line.done();
    const seconds = (performance.now() - started) / 1000;
    if (flags.json) {
      printJson({ out, seconds, ...info });
      return;
    }
    const { tokens, documents, bytes } = info;
    print(
      formatRows([
        ["corpus", `${formatBytes(bytes)}, ${formatInteger(tokens)} tokens of ${plural(documents, "document")}`],
        ["made", `${out}: ${formatBytes(6 * tokens + 4 * documents)}, in ${formatSeconds(seconds)}`],
      ]),
    );
  }).finally(() => line.done());
}
