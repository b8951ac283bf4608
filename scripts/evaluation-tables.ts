/**
 * Writes the figures of docs/evaluation.md, between the markers there, from measurements of one model:
 *
 *     node dist/scripts/evaluation-tables.js reproduce.json eval.json [comparison.json]
 *
 * The arguments are files written by `gpt2 eval --json` and `gpt2 reproduce --json` (if several have the same evaluation,
 * the last counts), and one written by scripts/compare-harness.ts.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { MetricResult } from "../src/evaluate/metrics/metric.js";
import { formatInterval, formatValue } from "../src/evaluate/report.js";
import type { EvaluationReport } from "../src/evaluate/report-file.js";
import type { TaskResult } from "../src/evaluate/run.js";
import { packageFile } from "../src/util/package-root.js";
import type { HarnessComparison, SetComparison } from "./compare-harness.js";

const START = "<!-- figures: written by scripts/evaluation-tables.ts -->";
const END = "<!-- end of figures -->";
const PER_WORD = "perplexity per word";

const files = process.argv.slice(2).map((path) => JSON.parse(readFileSync(path, "utf8"), restoreNaN) as object);
const reports = files.filter((file): file is EvaluationReport => "results" in file);
const comparisons = files.filter((file): file is HarnessComparison => "sets" in file);
/** JSON holds null for NaN, the mean of no items. */
function restoreNaN(key: string, value: unknown): unknown {
  return value === null && ["value", "low", "high"].includes(key) ? Number.NaN : value;
}

function modelLine(): string {
  const weights = reports.map(({ model }) => model.files.map(({ sha256 }) => sha256).join(" "));
  if (new Set(weights).size !== 1) throw new Error("the files are not all of one model");
  const { model, program } = reports[0]!;
  const hash = model.files.find(({ file }) => file !== "config.json")!.sha256.slice(0, 12);
  const millions = (model.parameters / 1e6).toFixed(1);
  const backends = [...new Set(reports.map((report) => report.model.backend))].join("; ");
  return `${program}; the default model (${millions}M parameters, weights ${hash}…), ${backends}.`;
}

/** The variants of a language-modelling set as rows, and every metric of the others. */
function resultTables(): string[] {
  const results = [...new Map(reports.flatMap((report) => report.results).map((r) => [r.spec, r])).values()];
  const [texts, others] = [true, false].map((wanted) =>
    results.filter(({ metrics }) => metrics.some(({ name }) => name === PER_WORD) === wanted),
  ) as [TaskResult[], TaskResult[]];
  const names = texts[0]?.metrics.map(({ name }) => name) ?? [];
  const textRows = texts.map((result) => [
    `\`${result.spec}\``,
    ...names.map((name) => cell(result.metrics.find((metric) => metric.name === name))),
    items(result),
    duration(result.seconds),
  ]);
  const otherRows = others.flatMap((result) =>
    result.metrics
      .filter(({ name }) => !name.startsWith("paradigm "))
      .map((metric, i) => [
        ...[i === 0 ? `\`${result.spec}\`` : "", metric.name, formatValue(metric.value, metric.scale)],
        ...[formatInterval(metric), i === 0 ? items(result) : "", i === 0 ? duration(result.seconds) : ""],
      ]),
  );
  return [
    ...(textRows.length > 0 ? [table(["task", ...names, "stretches", "time"], textRows)] : []),
    ...(otherRows.length > 0 ? [table(["task", "metric", "value", "95% interval", "items", "time"], otherRows)] : []),
  ];
}

function comparisonTable({ versions, ours, harness, sets }: HarnessComparison): string {
  const rows = sets.map(({ set, items, decidedDifferently, worst, unit, speed }: SetComparison) => [
    ...[set, String(items), String(decidedDifferently), worst.toExponential(1)],
    ...(speed ? [`${unit}/s`, ...[speed.all, speed.answering].flatMap(pair)] : []),
  ]);
  const program = Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
  const threads = harness.threads === undefined ? "" : `, ${harness.threads} thread${harness.threads === 1 ? "" : "s"}`;
  const head = ["set", "items", "decided differently", "largest relative difference", "unit"];
  const times = ["ours", "harness", "ratio", "ours, answering", "harness, answering", "ratio, answering"];
  return `Compared with the LM evaluation harness (${program}; ${harness.dtype}${threads}) on the same machine; ours runs on ${ours.backend}. The first three speeds cover the whole evaluation, including reading the data; the last three cover answering requests alone.

${table([...head, ...times], rows)}`;
}

const pair = ({ ours, harness }: { readonly ours: number; readonly harness: number }): string[] =>
  [ours, harness, ours / harness].map(plain);

const plain = (x: number): string => (x >= 100 ? x.toFixed(0) : x.toPrecision(3));

const cell = (metric: MetricResult | undefined): string =>
  metric ? `${formatValue(metric.value, metric.scale)} (${formatInterval(metric)})` : "";

const items = ({ items, ofItems }: TaskResult): string => (items === ofItems ? `${items}` : `${items} of ${ofItems}`);

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const path = packageFile("docs/evaluation.md");
const doc = readFileSync(path, "utf8");
const [before, rest] = [doc.indexOf(START), doc.indexOf(END)];
if (before < 0 || rest < before) throw new Error(`${path} has no place for the figures`);
const figures = [modelLine(), ...resultTables(), ...comparisons.map(comparisonTable)].join("\n\n");
writeFileSync(path, `${doc.slice(0, before)}${START}\n\n${figures}\n\n${doc.slice(rest)}`);
