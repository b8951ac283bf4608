import type { MetricResult, MetricScale } from "./metrics/metric.js";
import { type PaperSize, paperFigure } from "./paper.js";
import type { TaskResult } from "./run.js";

/** A value as the paper prints it: 45.99 for 0.4599. */
export function formatValue(value: number, scale: MetricScale): string {
  if (Number.isNaN(value)) return "–";
  if (scale === "percent") return (100 * value).toFixed(2);
  return Math.abs(value) < 10 ? value.toFixed(3) : Math.abs(value) < 1000 ? value.toFixed(2) : value.toPrecision(4);
}

export function formatInterval({ interval: { low, high }, scale }: MetricResult): string {
  return `${formatValue(low, scale)} – ${formatValue(high, scale)}`;
}

/** Head and rows of the table of results beside the figures of the paper's model of `size`. */
export function resultTable(
  results: readonly TaskResult[],
  size: PaperSize,
): { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const rows = results.flatMap((result) =>
    result.metrics.map((metric, i) => [
      i === 0 ? result.spec : "",
      metric.name,
      formatValue(metric.value, metric.scale),
      formatInterval(metric),
      i === 0 ? formatItems(result) : "",
      paperValue(result, metric, size),
    ]),
  );
  return { head: ["task", "metric", "value", "95% interval", "items", `paper, ${size}`], rows };
}

function formatItems({ items, ofItems }: TaskResult): string {
  return items === ofItems ? `${items}` : `${items} of ${ofItems}`;
}

function paperValue({ task, options }: TaskResult, { name, scale }: MetricResult, size: PaperSize): string {
  const value = paperFigure(task, options, name)?.values[size];
  return value === undefined ? "" : formatValue(value, scale);
}
