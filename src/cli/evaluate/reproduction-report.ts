import type { MetricScale } from "../../evaluate/metrics/metric.js";
import { PAPER_SIZES, type PaperSize } from "../../evaluate/paper.js";
import { formatValue } from "../../evaluate/report.js";
import type { Candidate, FigureComparison } from "../../evaluate/reproduce.js";
import { formatTable } from "../table.js";

/**
 * The paper's figures beside ours, where they lie among our variants, and what was not run.
 *
 * @param size of the model, if it is one of the paper's: only then does a difference ask for an explanation.
 * @param missing what was not run, and why
 */
export function reproductionReport(
  comparisons: readonly FigureComparison[],
  size: PaperSize | undefined,
  missing: ReadonlyMap<string, string>,
): string {
  const shown = size ?? PAPER_SIZES[0];
  const rows = comparisons.map(({ figure, paper, nearest, size: told }) => {
    const scale = scaleOf(figure.name);
    const value = (x: number) => formatValue(x, scale);
    const theirs = `${told === shown ? "" : `${told}: `}${value(paper)}`;
    const interval = `${value(nearest.low)} – ${value(nearest.high)}`;
    return [figure.name, `${nearest.spec}, ${nearest.metric}`, theirs, value(nearest.value), interval];
  });
  const head = ["figure", "our nearest variant", `paper, ${shown}`, "ours", "95% interval"];
  const note =
    size === undefined ? `The model has the size of none of the paper's; its ${PAPER_SIZES[0]} is shown.\n\n` : "";
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

/** Accuracies, F1, BLEU and ROUGE are written as percentages. */
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
