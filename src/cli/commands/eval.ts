import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import { PAPER_SIZES, paperSize } from "../../evaluate/paper.js";
import { TASKS } from "../../evaluate/registry.js";
import { resultTable } from "../../evaluate/report.js";
import type { TaskResult } from "../../evaluate/run.js";
import { parseTaskSpec, type Task, type TaskSpec } from "../../evaluate/task.js";
import { userFileTask } from "../../evaluate/tasks/user-file.js";
import { type EvaluationFlags, openSession } from "../evaluate/session.js";
import { interruptible } from "../interrupt.js";
import { addModelOptions, number } from "../options.js";
import { formatTable } from "../table.js";

interface EvalFlags extends EvaluationFlags {
  readonly list?: true;
}

const HELP = `
A task is named with its options, by name or by value alone where that is clear:
  lambada   lambada:original   wikitext-2:plain,stride=512

Its data are looked for in the folder of --data, in the layout they are published
in, and some are fetched where they are not there: docs/evaluation.md lists the
files and where to get them.

A file of yours can stand in a task's place: any text, or .jsonl with {"text": …} or
{"context": …, "choices": […], "answer": index} on each line.

Intervals are of 95%, by bootstrap over the items.

Examples:
  $ gpt2 eval --list
  $ gpt2 eval lambada wikitext-2 --data eval/ --model gpt2
  $ gpt2 eval hellaswag --data eval/ --limit 200
  $ gpt2 eval wikitext-2:stride=1 --data eval/ --json out.json --resume`;

/** Adds the options of everything that evaluates. */
export function addEvaluationOptions(command: Command): Command {
  return addModelOptions(
    command
      .option("--data <folder>", "where the data sets are (default: this folder)")
      .option("--limit <n>", "only the first so many items of each task", number)
      .option("--json <file>", "write everything down: configuration, hashes, every item's outcome")
      .option("--resume", "go on with what was stopped; needs --json")
      .option("--progress", "print progress as lines, also without a terminal"),
  );
}

/** Adds `gpt2 eval`. */
export function registerEval(program: Command): void {
  const command = program
    .command("eval")
    .summary("evaluate a model on data sets")
    .description("Evaluate a model on data sets: LAMBADA, WikiText, and the other evaluations of the paper.")
    .argument("[tasks...]", "what to evaluate on")
    .option("--list", "list the tasks and their options");
  addEvaluationOptions(command).addHelpText("after", HELP).action(evaluate);
}

async function evaluate(names: string[], flags: EvalFlags): Promise<void> {
  if (flags.list) {
    process.stdout.write(TASKS.map(describe).join("\n"));
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
      // Also when a later task has failed or was stopped: what is done may have taken hours.
      const { head, rows } = resultTable(results, paperSize(session.model.config) ?? PAPER_SIZES[0]);
      if (results.length > 0) process.stdout.write(formatTable(head, rows, 2));
    }
  });
}

/** A task by its name, or a file of the user's. */
export function specOf(text: string): TaskSpec {
  const [name = ""] = text.split(":");
  if (TASKS.some((task) => task.name === name)) return parseTaskSpec(text, TASKS);
  if (existsSync(name)) return parseTaskSpec(text, [userFileTask(name, resolve(name))]);
  const expected = `one of ${TASKS.map((task) => task.name).join(", ")}, or a file that is there`;
  throw new UsageError({ op: "task", expected, got: name, hint: "gpt2 eval --list shows the tasks" });
}

function describe({ name, about, options }: Task): string {
  const lines = Object.entries(options).map(([key, { values, integer, about }]) => {
    return `    ${key}=${[...values, ...(integer ? ["N"] : [])].join("|")}: ${about}\n`;
  });
  return `${name}: ${about}\n${lines.join("")}`;
}
