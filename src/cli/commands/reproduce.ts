import type { Command } from "commander";
import { DownloadError, MissingDataError, UsageError } from "../../errors.js";
import { PAPER_SIZES, paperSize } from "../../evaluate/paper.js";
import { TASKS } from "../../evaluate/registry.js";
import { compareWithPaper, reproductionSpecs } from "../../evaluate/reproduce.js";
import type { TaskResult } from "../../evaluate/run.js";
import { parseTaskSpec } from "../../evaluate/task.js";
import { reproductionReport } from "../evaluate/reproduction-report.js";
import { type EvaluationFlags, type EvaluationSession, openSession } from "../evaluate/session.js";
import { interruptible } from "../interrupt.js";
import { addEvaluationOptions } from "./eval.js";

const HELP = `
Runs every evaluation of the paper, each in the variants that the paper leaves
open, and prints its table beside ours. Where no variant gives the paper's figure,
it says between which two of them the figure lies. Data sets that are neither in
the folder of --data nor can be fetched are left out, and listed.

Without --limit and with a model of GPT-2's size this takes hours: give --json, and
--resume goes on with what was stopped.

Examples:
  $ gpt2 reproduce --model gpt2 --data eval/ --json gpt2.json
  $ gpt2 reproduce lambada wikitext-2 --model gpt2 --data eval/`;

/** Adds `gpt2 reproduce`. */
export function registerReproduce(program: Command): void {
  const command = program
    .command("reproduce")
    .summary("all evaluations of the paper, beside its table")
    .description("Run the paper's evaluations in all their variants, and compare with the paper.")
    .argument("[tasks...]", "only these");
  addEvaluationOptions(command).addHelpText("after", HELP).action(reproduce);
}

async function reproduce(names: string[], flags: EvaluationFlags): Promise<void> {
  for (const name of names) {
    if (!reproductionSpecs(1024).some((spec) => taskOf(spec) === name)) {
      const expected = `some of ${[...new Set(reproductionSpecs(1024).map(taskOf))].join(", ")}`;
      throw new UsageError({ op: "gpt2 reproduce", expected, got: name });
    }
  }
  await interruptible(async (signal) => {
    const session = await openSession(flags, signal);
    const wanted = reproductionSpecs(session.model.config.nCtx).filter(
      (spec) => names.length === 0 || names.includes(taskOf(spec)),
    );
    const size = paperSize(session.model.config);
    const compare = (results: readonly TaskResult[]) => compareWithPaper(results, size ?? PAPER_SIZES[0]);
    const results: TaskResult[] = [];
    const missing = new Map<string, string>();
    try {
      for (const text of wanted) await runOrMiss(session, text, results, missing);
      await session.finish(results, { comparisons: compare(results), notRun: Object.fromEntries(missing) });
    } finally {
      // Also when it was stopped or has failed: what is done may have taken hours.
      if (results.length > 0 || missing.size > 0) {
        process.stdout.write(reproductionReport(compare(results), size, missing));
      }
    }
  });
}

/** Adds to the results, or to what is missing, with the reason. */
async function runOrMiss(
  session: EvaluationSession,
  text: string,
  results: TaskResult[],
  missing: Map<string, string>,
): Promise<void> {
  try {
    results.push(await session.run(parseTaskSpec(text, TASKS)));
  } catch (error) {
    if (!(error instanceof MissingDataError || error instanceof DownloadError)) throw error;
    missing.set(text, error instanceof MissingDataError ? (error.details.hint ?? "") : error.message);
  }
}

const taskOf = (spec: string): string => spec.split(":")[0]!;
