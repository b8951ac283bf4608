import type { Command } from "commander";
import { DownloadError, MissingDataError, UsageError } from "../../errors.js";
import type { MetricScale } from "../../evaluate/metrics/metric.js";
import { PAPER_SIZES, type PaperSize, paperSize } from "../../evaluate/paper.js";
import { TASKS } from "../../evaluate/registry.js";
import { formatValue } from "../../evaluate/report.js";
import type { Candidate, FigureComparison } from "../../evaluate/reproduce.js";
import { compareWithPaper, reproductionSpecs } from "../../evaluate/reproduce.js";
import type { TaskResult } from "../../evaluate/run.js";
import { parseTaskSpec } from "../../evaluate/task.js";
import { addEvaluationOptions, type EvaluationFlags, type EvaluationSession, openSession } from "../evaluation.js";
import { formatTable, print } from "../output.js";
import { interruptible } from "../signals.js";

const HELP = `
Runs every evaluation of the paper, each in the variants that the paper leaves
open, and prints the paper's figures beside ours. Where no variant matches, it
prints the two variants between which the paper's figure lies. Data sets that are
neither in the folder of --data nor downloadable are left out, and listed.

Without --limit, a model of GPT-2's size takes hours: with --json FILE, --resume
continues a run that was stopped.

Examples:
  $ gpt2 reproduce --model gpt2 --data eval/ --json gpt2.json
  $ gpt2 reproduce lambada wikitext-2 --model gpt2 --data eval/`;

/** Adds `gpt2 reproduce`. */
export function registerReproduce(program: Command): void {
  const command = program
    .command("reproduce")
    .summary("run the paper's evaluations and compare the figures")
    .description("Run the paper's evaluations in all their variants, and compare with the paper.")
    .argument("[tasks...]", "only these tasks");
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
      // Even if it failed or was stopped: finished tasks may have taken hours.
      if (results.length > 0 || missing.size > 0) {
        print(reproductionReport(compare(results), size, missing));
      }
    }
  });
}

/** Evaluates one task; if its data is missing, records why. */
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

/**
 * The paper's figures beside ours, their position among our variants, and evaluations that were not run.
 *
 * @param size the paper's model of this size; without one, differences need no explanation
 * @param missing evaluations that were not run, with reasons
 */
export function reproductionReport(
  comparisons: readonly FigureComparison[],
  size: PaperSize | undefined,
  missing: ReadonlyMap<string, string>,
): string {
  const shown = size ?? PAPER_SIZES[0];
  const rows = comparisons.map(({ figure, paper, nearest, size: reported }) => {
    const scale = scaleOf(figure.name);
    const value = (x: number) => formatValue(x, scale);
    const theirs = `${reported === shown ? "" : `${reported}: `}${value(paper)}`;
    const interval = `${value(nearest.low)} – ${value(nearest.high)}`;
    return [figure.name, `${nearest.spec}, ${nearest.metric}`, theirs, value(nearest.value), interval];
  });
  const head = ["figure", "our nearest variant", `paper, ${shown}`, "ours", "95% interval"];
  const note =
    size === undefined ? `The paper has no model of this size; its figures for ${PAPER_SIZES[0]} are shown.\n\n` : "";
  const brackets = size === undefined ? "" : comparisons.map(bracket).join("");
  const reasons = new Map<string, string[]>();
  for (const [spec, reason] of missing) reasons.set(reason, [...(reasons.get(reason) ?? []), spec]);
  const absent = [...reasons].map(([reason, specs]) => `  ${specs.join(" ")}\n    ${reason}\n`).join("");
  return [
    note,
    formatTable(head, rows, 2),
    brackets && `\nWhere the paper's figure lies among the variants:\n${brackets}`,
    absent && `\nNot run, for want of data:\n${absent}`,
  ].join("");
}

/** Accuracies, F1, BLEU and ROUGE are percentages. */
const scaleOf = (figure: string): MetricScale => (/perplexity|bits/.test(figure) ? "number" : "percent");

function bracket({ figure, paper, candidates, below, above, nearest }: FigureComparison): string {
  const scale = scaleOf(figure.name);
  const name = ({ spec, metric, value }: Candidate) => `${formatValue(value, scale)} (${spec}, ${metric})`;
  const line = (text: string) => `  ${figure.name}, ${formatValue(paper, scale)}: ${text}\n`;
  if (nearest.low <= paper && paper <= nearest.high) return line(`within the interval of ${name(nearest)}`);
  if (below && above) return line(`between ${name(below)} and ${name(above)}`);
  const end = (below ? candidates.at(-1) : candidates[0])!;
  const side = below ? "above" : "below";
  const count = candidates.length === 1 ? "the one variant" : `all ${candidates.length} variants`;
  return line(`${side} ${count}, of which the nearest is ${name(end)}: none of them explains the difference`);
}
