import { overlapShare } from "../../evaluate/overlap/overlap.js";
import { formatValue } from "../../evaluate/report.js";
import { formatTable } from "../table.js";
import type { OverlapSet } from "./measure.js";

/** What was found, for people: a table of the sets, of metrics where there are outcomes, and of `show` items each. */
export function overlapReport(sets: readonly OverlapSet[], n: number, threshold: number, show: number): string {
  const head = ["set", "items", `${n}-grams`, "found", "overlap", "median item", "largest", "items with any"];
  const rows = sets.map((set) => [
    set.name,
    count(set.items),
    count(set.ngrams),
    count(set.found),
    percent(set.overlap),
    percent(set.quantiles.p50),
    percent(set.largest),
    `${count(set.overlapping)} (${percent(set.overlapping / set.items)})`,
  ]);
  return [formatTable(head, rows), metricTable(sets, threshold), ...sets.map((set) => passages(set, show))].join("");
}

function metricTable(sets: readonly OverlapSet[], threshold: number): string {
  const split = sets.filter(({ metrics }) => metrics !== undefined);
  if (split.length === 0) return "";
  const limit = percent(threshold);
  const [few, many] = threshold === 0 ? ["without overlap", "overlapping"] : [`up to ${limit}`, `over ${limit}`];
  const head = ["set", "metric", "all items", "items", few, "items", many, "items"];
  const rows = split.flatMap(({ name, metrics = [] }) =>
    metrics.map(({ name: metric, all, without, overlapping }, i) => [
      i === 0 ? name : "",
      metric,
      ...[all, without, overlapping].flatMap(({ value, scale, items }) => [formatValue(value, scale), count(items)]),
    ]),
  );
  return `\n${formatTable(head, rows, 2)}`;
}

/** The items of which most was found, each with the longest passage. */
function passages({ name, perItem }: OverlapSet, show: number): string {
  const items = perItem
    .map((item, index) => ({ index, share: overlapShare(item), longest: item.longest }))
    .filter(({ longest }) => longest !== undefined)
    .sort((a, b) => b.share - a.share || a.index - b.index)
    .slice(0, show);
  if (items.length === 0) return "";
  const lines = items.map(({ index, share, longest }) => {
    const { words, text } = longest!;
    return `  item ${index + 1}, ${percent(share)}, ${words} words: ${text}${text.split(" ").length < words ? " …" : ""}\n`;
  });
  return `\n${name}:\n${lines.join("")}`;
}

const count = (value: number): string => value.toLocaleString("en");

/** Two digits after the point, or where that says little two that mean something. */
export function percent(share: number): string {
  if (Number.isNaN(share)) return "–";
  const value = 100 * share;
  const digits = value === 0 || value >= 1 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(value)));
  return `${value.toFixed(digits)}%`;
}
