import { overlapShare } from "../../evaluate/overlap/overlap.js";
import { formatValue } from "../../evaluate/report.js";
import { printable } from "../../util/printable.js";
import { formatInteger, formatPercent, formatTable } from "../output.js";
import type { OverlapSet } from "./measure.js";

/** A table of the sets, one of split metrics if there are outcomes, and `show` items of each set. */
export function overlapReport(sets: readonly OverlapSet[], n: number, threshold: number, show: number): string {
  const head = ["set", "items", `${n}-grams`, "found", "overlap", "median item", "largest", "items with any"];
  const rows = sets.map((set) => [
    set.name,
    formatInteger(set.items),
    formatInteger(set.ngrams),
    formatInteger(set.found),
    formatPercent(set.overlap),
    formatPercent(set.quantiles.p50),
    formatPercent(set.largest),
    `${formatInteger(set.overlapping)} (${formatPercent(set.overlapping / set.items)})`,
  ]);
  return [formatTable(head, rows), metricTable(sets, threshold), ...sets.map((set) => passages(set, show))].join("");
}

function metricTable(sets: readonly OverlapSet[], threshold: number): string {
  const split = sets.filter(({ metrics }) => metrics !== undefined);
  if (split.length === 0) return "";
  const limit = formatPercent(threshold);
  const [few, many] = threshold === 0 ? ["without overlap", "overlapping"] : [`up to ${limit}`, `over ${limit}`];
  const head = ["set", "metric", "all items", "items", few, "items", many, "items"];
  const rows = split.flatMap(({ name, metrics = [] }) =>
    metrics.map(({ name: metric, all, without, overlapping }, i) => [
      i === 0 ? name : "",
      metric,
      ...[all, without, overlapping].flatMap(({ value, scale, items }) => [
        formatValue(value, scale),
        formatInteger(items),
      ]),
    ]),
  );
  return `\n${formatTable(head, rows, 2)}`;
}

/** The items with the most overlap, each with its longest passage. */
function passages({ name, perItem }: OverlapSet, show: number): string {
  const items = perItem
    .map((item, index) => ({ index, share: overlapShare(item), longest: item.longest }))
    .filter(({ longest }) => longest !== undefined)
    .sort((a, b) => b.share - a.share || a.index - b.index)
    .slice(0, show);
  if (items.length === 0) return "";
  const lines = items.map(({ index, share, longest }) => {
    const { words, text } = longest!;
    const cut = text.split(" ").length < words ? " …" : "";
    return printable(`  item ${index + 1}, ${formatPercent(share)}, ${words} words: ${text}${cut}\n`);
  });
  return `\n${name}:\n${lines.join("")}`;
}
