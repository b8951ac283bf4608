import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { UsageError } from "../../errors.js";
import { DEFAULT_N, DEFAULT_RATE } from "../../evaluate/overlap/build-filter.js";
import { loadNgramFilter } from "../../evaluate/overlap/filter-file.js";
import { describeFilter } from "../../evaluate/overlap/ngram-filter.js";
import { TASKS } from "../../evaluate/registry.js";
import { type ReadReport, readReport } from "../../evaluate/report-file.js";
import type { TaskResult } from "../../evaluate/run.js";
import { formatTaskSpec } from "../../evaluate/task.js";
import { packageVersion } from "../../util/package-version.js";
import { interruptible } from "../interrupt.js";
import { addModelOptions, number, unescapeText } from "../options.js";
import { buildFilter } from "../overlap/build.js";
import type { OverlapFlags } from "../overlap/flags.js";
import { Measuring, type OverlapSet } from "../overlap/measure.js";
import { overlapReport } from "../overlap/report.js";
import { specOf } from "./eval.js";

const HELP = `
First make a filter of the training text, then look texts up in it: evaluations by
their names (as for gpt2 eval), files, or what a model writes.

An 8-gram is eight words in a row, lower-cased, letters and digits only. "overlap" is
the share of a set's 8-grams that are in the training text too.

With --results (what gpt2 eval --json wrote) or --evaluate, metrics are computed again
without the items of which more than --threshold was found, and of those alone.

Examples:
  $ gpt2 overlap build train-*.txt.gz --out train.bloom
  $ gpt2 overlap train.bloom lambada wikitext-2 --data eval/
  $ gpt2 overlap train.bloom lambada --data eval/ --evaluate --model gpt2
  $ gpt2 overlap train.bloom --results out.json --data eval/ --threshold 0.15
  $ gpt2 overlap train.bloom valid.txt.gz --samples 200 --model runs/a/model --show 5`;

/** Adds `gpt2 overlap`. */
export function registerOverlap(program: Command): void {
  const command = program
    .command("overlap")
    .summary("what of a text was in the training text")
    .description("Look up how much of evaluations, files or generated text stands in a training text, by 8-grams.")
    .usage("build <inputs...> --out <filter>\n       gpt2 overlap <filter> [tasks and files...] [options]")
    .argument("<filter>", "what gpt2 overlap build made")
    .argument("[sets...]", "tasks, files and folders to look up")
    .option("--data <folder>", "where the data sets are (default: this folder)")
    .option("--results <file>", "outcomes that gpt2 eval --json wrote; without names, of all its tasks")
    .option("--evaluate", "evaluate the model on the tasks, for outcomes")
    .option("--threshold <share>", "an item overlaps if more than this share of it is found", share, 0)
    .option("--samples <n>", "look up so many texts that the model writes", count)
    .option("-n, --max-tokens <n>", "tokens of each sample at most", count, 256)
    .option("--temperature <x>", "of the samples (default: the model's)", number)
    .option("--top-k <n>", "of the samples (default: the model's)", count)
    .option("--seed <n>", "of the samples", count, 1)
    .option("--limit <n>", "only the first so many items of each task", count)
    .option("--field <name>", "field of JSONL objects that holds the text", "text")
    .option("--split-on <text>", "text between documents in text files (default: a line <|endoftext|>)", unescapeText)
    .option("--show <n>", "print the items of which most was found, with their longest passages", count, 0)
    .option("--progress", "print progress as lines, also without a terminal")
    .option("--json", "print everything as JSON, item by item");
  addModelOptions(command).addHelpText("after", HELP).action(overlap);
  // What follows `build` is for it, also options that both have.
  program.enablePositionalOptions();
  command.enablePositionalOptions();
  command
    .command("build")
    .summary("make the filter of a training text")
    .description(
      "Make the filter of a training text: text files, JSONL and folders of them (.txt, .md, .jsonl, each also .gz or " +
        ".zst). About 4.8 bytes for each 8-gram, so for each word. The text is read twice.",
    )
    .argument("<inputs...>", "files and folders")
    .requiredOption("-o, --out <file>", "filter to write")
    .option("--n <words>", "words in an n-gram", count, DEFAULT_N)
    .option("--rate <share>", "of n-grams that are not there, at most so many are found", number, DEFAULT_RATE)
    .option("--workers <n>", "worker threads (default: one a core)", count)
    .option("--field <name>", "field of JSONL objects that holds the text", "text")
    .option("--split-on <text>", "text between documents in text files (default: a line <|endoftext|>)", unescapeText)
    .option("--overwrite", "replace the file that is there")
    .option("--progress", "print progress as lines, also without a terminal")
    .option("--json", "print what was made as JSON")
    .action(buildFilter);
}

async function overlap(path: string, names: string[], flags: OverlapFlags): Promise<void> {
  checkCall(names, flags);
  const report = flags.results === undefined ? undefined : await readReport(flags.results);
  const filter = await loadNgramFilter(path);
  const model = flags.model ?? report?.model;
  await interruptible(async (signal) => {
    const measuring = new Measuring(filter, { ...flags, ...(model !== undefined && { model }) }, signal);
    const sets: OverlapSet[] = [];
    for (const name of names.length > 0 ? names : (report?.results.map(({ spec }) => spec) ?? [])) {
      const result = resultOf(name, report, flags);
      if (isTask(name) || result || flags.evaluate) sets.push(await measuring.task(specOf(name), result));
      else sets.push(await measuring.file(name));
    }
    if (flags.samples !== undefined) sets.push(await measuring.samples(flags.samples));
    const { threshold, show } = flags;
    if (!flags.json) {
      process.stdout.write(overlapReport(sets, filter.n, threshold, show));
      return;
    }
    const program = `gpt2-ts ${packageVersion()}`;
    const facts = { path, ...describeFilter(filter) };
    process.stdout.write(`${JSON.stringify({ program, filter: facts, threshold, model: model ?? "default", sets })}\n`);
  });
}

/** Wrong calls are told before anything large is read. */
function checkCall(names: readonly string[], { results, evaluate, samples }: OverlapFlags): void {
  const op = "gpt2 overlap";
  if (names.length === 0 && results === undefined && samples === undefined) {
    throw new UsageError({ op, expected: "tasks or files to look up, --results or --samples", got: "none of them" });
  }
  if (results !== undefined && evaluate) {
    throw new UsageError({ op, expected: "either --results or --evaluate", got: "both" });
  }
  for (const name of names) {
    if (isTask(name) || existsSync(name) || (results !== undefined && existsSync(name.split(":")[0]!))) continue;
    const tasks = TASKS.map((task) => task.name).join(", ");
    throw new UsageError({ op, expected: `a file, or one of ${tasks}`, got: name });
  }
}

/** A task's result among those of the report, if there is one; a file may have been evaluated or not. */
function resultOf(name: string, report: ReadReport | undefined, { results }: OverlapFlags): TaskResult | undefined {
  const result = report?.results.find(
    ({ spec }) => spec === name || (isTask(name) && spec === formatTaskSpec(specOf(name))),
  );
  if (report === undefined || result || !isTask(name)) return result;
  const specs = report.results.map(({ spec }) => spec).join(", ");
  throw new UsageError({ op: `gpt2 overlap: ${results}`, expected: `a result of ${name}`, got: specs || "none" });
}

const isTask = (name: string): boolean => TASKS.some((task) => task.name === name.split(":")[0]);

function count(text: string): number {
  const value = number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError("Not a whole number.");
  return value;
}

function share(text: string): number {
  const value = number(text);
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError("Not a share from 0 to 1.");
  return value;
}
