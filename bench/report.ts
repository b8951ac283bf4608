/** Results as Markdown, for the terminal and for docs/performance.md alike. */
import type { LimitRow } from "./limits.js";
import { bestOf, type CaseResult, shareOfLimit, timesAsGood } from "./measure.js";
import type { Spread } from "./statistics.js";
import type { Entrant } from "./suite.js";

const LIMIT_NAMES = {
  fma: "the multiply-add peak",
  bf16: "the peak of bf16 multiply-adds",
  dot8: "the peak of 8-bit multiply-adds",
  read: "the read bandwidth",
  "wasm-fma": "WebAssembly's multiply-add peak",
  "wasm-read": "WebAssembly's read bandwidth",
} as const;
const LIMIT_UNITS = {
  fma: "GFLOP/s",
  bf16: "GFLOP/s",
  dot8: "GOP/s",
  read: "GB/s",
  "wasm-fma": "GFLOP/s",
  "wasm-read": "GB/s",
} as const;

/** Table of cases with the same contenders, and notes on them. */
export function caseTable(
  results: readonly CaseResult[],
  entrants: readonly Entrant[],
  notes: readonly string[],
): string {
  const peers = entrants.filter(({ ours }) => !ours).map(({ name }) => name);
  const ours = entrants.filter((e) => e.ours).map(({ name }) => name);
  // Starting and memory have no limit.
  const limited = results.some(({ case: c }) => c.limit.perToken !== undefined);
  const head = [
    results[0]!.case.unit,
    ...ours.flatMap((name) => (limited ? [name, "of the limit"] : [name])),
    ...peers,
    "against the best peer",
  ];
  const rows = results.map((result) => [
    result.case.title + (result.disturbed ? " (disturbed)" : ""),
    ...ours.flatMap((name) => {
      const cell = `**${cellOf(result, name)}**`;
      return limited ? [cell, share(result, name)] : [cell];
    }),
    ...peers.map((name) => cellOf(result, name)),
    againstBest(result, ours[0], peers),
  ]);
  const lines = [...results.map(aboutRounds), ...entrants.map(aboutEntrant), ...notes];
  return `${table(head, rows)}\n\n${lines.map((line) => `- ${line}`).join("\n")}`;
}

export function limitTable(rows: readonly LimitRow[]): string {
  const head = ["limit", "threads", "best", "median", "smallest"];
  const cells = rows.map(({ what, kind, threads, perSecond: { max, median, min } }) => {
    const unit = LIMIT_UNITS[kind];
    return [what, String(threads), `${figure(max / 1e9)} ${unit}`, figure(median / 1e9), figure(min / 1e9)];
  });
  return table(head, cells);
}

/** Markdown with its columns aligned. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(3, cell.length, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/**
 * Replaces the text between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` by `body`.
 *
 * @throws {Error} the text lacks these markers.
 */
export function replaceSection(text: string, name: string, body: string): string {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const [start, end] = [text.indexOf(open), text.indexOf(close)];
  if (start < 0 || end < start) throw new Error(`there is no place for ${name}: ${open} … ${close}`);
  return `${text.slice(0, start + open.length)}\n${body}\n${text.slice(end)}`;
}

function share(result: CaseResult, name: string): string {
  const part = shareOfLimit(result, name);
  return part === undefined ? "-" : `${Math.round(100 * part)}%`;
}

function againstBest(result: CaseResult, ours: string | undefined, peers: readonly string[]): string {
  const best = bestOf(result, peers);
  const times = ours !== undefined && best !== undefined ? timesAsGood(result, ours, best) : undefined;
  return times === undefined ? "-" : `${times.toFixed(2)}× ${best}`;
}

function cellOf({ figures }: CaseResult, name: string): string {
  return figures[name] ? withSpread(figures[name]) : "-";
}

function aboutRounds({ case: c, rounds, counted, limit, disturbed }: CaseResult): string {
  const others = rounds.length - counted.length;
  const omitted = others > 0 ? `, ${others} disturbed one${others === 1 ? "" : "s"} left out` : "";
  const count = `${c.title}: medians of ${counted.length} round${counted.length === 1 ? "" : "s"}${omitted}`;
  if (!limit) return `${count}; no limit was measured`;
  const { kind, perToken } = c.limit;
  const scaled = { median: limit.median / 1e9, min: limit.min / 1e9, max: limit.max / 1e9 };
  const allows = perToken === undefined ? "" : `, which allows ${figure(limit.median / perToken)} ${c.unit}`;
  const warning = disturbed ? "; **the machine was not quiet: do not trust these**" : "";
  return `${count}; ${LIMIT_NAMES[kind]} meanwhile ${withSpread(scaled)} ${LIMIT_UNITS[kind]}${allows}${warning}`;
}

function aboutEntrant({ name, description, peakBytes }: Entrant): string {
  const memory = peakBytes === undefined ? "" : `; at most ${(peakBytes / 2 ** 30).toFixed(1)} GiB of memory`;
  return `${name}: ${description}${memory}`;
}

function withSpread({ median, min, max }: Spread): string {
  return `${figure(median)} (${figure(min)}–${figure(max)})`;
}

/** Three significant digits, whole numbers in full. */
export function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
