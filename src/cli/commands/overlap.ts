import { existsSync } from "node:fs";
import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import { DEFAULT_N, DEFAULT_RATE } from "../../evaluate/overlap/build-filter.js";
import { loadNgramFilter } from "../../evaluate/overlap/filter-file.js";
import { describeFilter } from "../../evaluate/overlap/ngram-filter.js";
import { TASKS } from "../../evaluate/registry.js";
import { type ReadReport, readReport } from "../../evaluate/report-file.js";
import type { TaskResult } from "../../evaluate/run.js";
import { formatTaskSpec } from "../../evaluate/task.js";
import { packageVersion } from "../../util/package-version.js";
import { specOf } from "../evaluation.js";
import { addDocumentOptions, addModelOptions, addReportOptions, count, number, share } from "../options.js";
import { print, printJson } from "../output.js";
import { buildFilter } from "../overlap/build.js";
import { Measuring, type OverlapFlags, type OverlapSet } from "../overlap/measure.js";
import { overlapReport } from "../overlap/report.js";
import { interruptible } from "../signals.js";

const HELP = `
First build a filter of the training text, then look texts up in it: evaluations by
name (as for gpt2 eval), files, or samples of a model.

An 8-gram is eight words in a row, lower-cased, letters and digits only. "overlap" is
the share of a set's 8-grams that also occur in the training text.

With --results (a report made by gpt2 eval --json) or --evaluate, metrics are recomputed
without the items whose overlap is above --threshold, and on these items alone.

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
    .summary("measure overlap with training text")
    .description("Measure how much of evaluations, files or generated text is in a training text, by 8-grams.")
    .usage("build <inputs...> --out <filter>\n       gpt2 overlap <filter> [tasks and files...] [options]")
    .argument("<filter>", "a filter of gpt2 overlap build")
    .argument("[sets...]", "tasks, files and folders to look up")
    .option("--data <folder>", "folder of the data sets (default: this folder)")
    .option("--results <file>", "a report made by gpt2 eval --json; without names, all its tasks")
    .option("--evaluate", "evaluate the model on the tasks first")
    .option("--threshold <share>", "an item overlaps if its overlap is above this", share, 0)
    .option("--samples <n>", "look up n samples of the model", count)
    .option("-n, --max-tokens <n>", "maximum number of tokens in a sample", count, 256)
    .option("--temperature <x>", "temperature of the samples (default: the model's)", number)
    .option("--top-k <n>", "top-k of the samples (default: the model's)", count)
    .option("--seed <n>", "seed of the samples", count, 1)
    .option("--limit <n>", "only the first n items of each task", count)
    .option("--show <n>", "print the n items with the most overlap, with their longest passages", count, 0);
  addReportOptions(addDocumentOptions(command), "print everything as JSON, item by item");
  addModelOptions(command).addHelpText("after", HELP).action(overlap);
  // Arguments after `build` belong to it, also options that both have.
  program.enablePositionalOptions();
  command.enablePositionalOptions();
  const build = command
    .command("build")
    .summary("build the filter of a training text")
    .description(
      "Build the filter of a training text: text files, JSONL and folders of them (.txt, .md, .jsonl, each also .gz or " +
        ".zst). It takes about 4.8 bytes for each 8-gram, so for each word. The text is read twice.",
    )
    .argument("<inputs...>", "files and folders")
    .requiredOption("-o, --out <file>", "filter to write")
    .option("--n <words>", "words in an n-gram", count, DEFAULT_N)
    .option("--rate <share>", "upper bound of the false-positive rate", number, DEFAULT_RATE)
    .option("--workers <n>", "worker threads (default: one per core)", count)
    .option("--overwrite", "replace an existing file");
  addReportOptions(addDocumentOptions(build)).action(buildFilter);
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
      print(overlapReport(sets, filter.n, threshold, show));
      return;
    }
    const program = `gpt2-ts ${packageVersion()}`;
    const facts = { path, ...describeFilter(filter) };
    printJson({ program, filter: facts, threshold, model: model ?? "default", sets });
  });
}

/** Reports wrong usage before anything large is read. */
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

/** The result of a task in the report; undefined for a file that was not evaluated. */
function resultOf(name: string, report: ReadReport | undefined, { results }: OverlapFlags): TaskResult | undefined {
  const result = report?.results.find(
    ({ spec }) => spec === name || (isTask(name) && spec === formatTaskSpec(specOf(name))),
  );
  if (report === undefined || result || !isTask(name)) return result;
  const specs = report.results.map(({ spec }) => spec).join(", ");
  throw new UsageError({ op: `gpt2 overlap: ${results}`, expected: `a result of ${name}`, got: specs || "none" });
}

const isTask = (name: string): boolean => TASKS.some((task) => task.name === name.split(":")[0]);
