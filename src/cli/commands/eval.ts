import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import { PAPER_SIZES, paperSize } from "../../evaluate/paper.js";
import { TASKS } from "../../evaluate/registry.js";
import { resultTable } from "../../evaluate/report.js";
import type { TaskResult } from "../../evaluate/run.js";
import type { Task } from "../../evaluate/task.js";
import { addEvaluationOptions, type EvaluationFlags, openSession, specOf } from "../evaluation.js";
import { formatTable, print } from "../output.js";
import { interruptible } from "../signals.js";

interface EvalFlags extends EvaluationFlags {
  readonly list?: true;
}

const HELP = `
A task is named with its options, by name or by value alone where that is clear:
  lambada   lambada:original   wikitext-2:plain,stride=512

Data sets are read from the folder of --data, in the layout of their publishers;
some are downloaded if they are missing. docs/evaluation.md lists the files and
where they are published.

A file of yours can take a task's place: any text, or .jsonl with {"text": …} or
{"context": …, "choices": […], "answer": index} on each line.

Intervals are 95% confidence intervals, by bootstrap over the items.

Examples:
  $ gpt2 eval --list
  $ gpt2 eval lambada wikitext-2 --data eval/ --model gpt2
  $ gpt2 eval hellaswag --data eval/ --limit 200
  $ gpt2 eval wikitext-2:stride=1 --data eval/ --json out.json --resume`;

/** Adds `gpt2 eval`. */
export function registerEval(program: Command): void {
  const command = program
    .command("eval")
    .summary("evaluate a model on data sets")
    .description("Evaluate a model on data sets: LAMBADA, WikiText, and the other evaluations of the paper.")
    .argument("[tasks...]", "tasks, or your own files")
    .option("--list", "list the tasks and their options");
  addEvaluationOptions(command).addHelpText("after", HELP).action(evaluate);
}

async function evaluate(names: string[], flags: EvalFlags): Promise<void> {
  if (flags.list) {
    print(TASKS.map(describe).join("\n"));
    return;
  }
  if (names.length === 0) {
    throw new UsageError({ op: "gpt2 eval", expected: "tasks", got: "none", hint: "gpt2 eval --list shows them" });
  }
  const specs = names.map(specOf);
  await interruptible(async (signal) => {
    const session = await openSession(flags, signal);
    const results: TaskResult[] = [];
    try {
      for (const spec of specs) results.push(await session.run(spec));
      await session.finish(results);
    } finally {
      // Even if a later task failed or was stopped: finished tasks may have taken hours.
      const { head, rows } = resultTable(results, paperSize(session.model.config) ?? PAPER_SIZES[0]);
      if (results.length > 0) print(formatTable(head, rows, 2));
    }
  });
}

function describe({ name, about, options }: Task): string {
  const lines = Object.entries(options).map(([key, { values, integer, about }]) => {
    return `    ${key}=${[...values, ...(integer ? ["N"] : [])].join("|")}: ${about}\n`;
  });
  return `${name}: ${about}\n${lines.join("")}`;
}
