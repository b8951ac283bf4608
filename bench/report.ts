/** Results as Markdown, for the terminal and for docs/performance.md alike. */
import type { LimitRow } from "./limits.js";
import { type CaseResult, shareOfLimit, timesAsFast } from "./measure.js";
import type { Spread } from "./statistics.js";

/** A contender as it took part. */
export interface Entrant {
  readonly name: string;
  readonly ours: boolean;
  readonly description: string;
  /** The most memory that its process ever held. */
  readonly peakBytes?: number | undefined;
}

const LIMIT_NAMES = {
  fma: "the multiply-add peak",
  dot8: "the peak of 8-bit multiply-adds",
  read: "the read bandwidth",
} as const;
const LIMIT_UNITS = { fma: "GFLOP/s", dot8: "GOP/s", read: "GB/s" } as const;

/** Cases that the same contenders took part in, and what there is to say about them. */
export function caseTable(
  results: readonly CaseResult[],
  entrants: readonly Entrant[],
  notes: readonly string[],
): string {
  const peers = entrants.filter(({ ours }) => !ours).map(({ name }) => name);
  const ours = entrants.filter((e) => e.ours).map(({ name }) => name);
  const head = ["tokens/s", ...ours.flatMap((name) => [name, "of the limit"]), ...peers, "against the best peer"];
  const rows = results.map((result) => [
    result.case.title + (result.disturbed ? " (disturbed)" : ""),
    ...ours.flatMap((name) => [`**${withSpread(result.rates[name]!)}**`, share(result, name)]),
    ...peers.map((name) => withSpread(result.rates[name]!)),
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
 * `text` with what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` replaced by `body`.
 *
 * @throws {Error} the text has no such place.
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
  const best = peers.toSorted((a, b) => result.rates[b]!.median - result.rates[a]!.median)[0];
  return ours === undefined || best === undefined ? "-" : `${timesAsFast(result, ours, best).toFixed(2)}× ${best}`;
}

function aboutRounds({ case: c, rounds, counted, limit, disturbed }: CaseResult): string {
  const others = rounds.length - counted.length;
  const again = others > 0 ? `, ${others} disturbed one${others === 1 ? "" : "s"} left out` : "";
  const count = `${c.title}: medians of ${counted.length} round${counted.length === 1 ? "" : "s"}${again}`;
  if (!limit) return `${count}; no limit was measured`;
  const { kind, perToken } = c.limit;
  const scaled = { median: limit.median / 1e9, min: limit.min / 1e9, max: limit.max / 1e9 };
  const fastest = figure(limit.median / perToken);
  const warning = disturbed ? "; **the machine was not quiet: do not trust these**" : "";
  return `${count}; ${LIMIT_NAMES[kind]} meanwhile ${withSpread(scaled)} ${LIMIT_UNITS[kind]}, which allows ${fastest} tokens/s${warning}`;
}

function aboutEntrant({ name, description, peakBytes }: Entrant): string {
  const memory = peakBytes === undefined ? "" : `; at most ${(peakBytes / 2 ** 30).toFixed(1)} GiB of memory`;
  return `${name}: ${description}${memory}`;
}

function withSpread({ median, min, max }: Spread): string {
  return `${figure(median)} (${figure(min)}–${figure(max)})`;
}

/** Three significant digits, whole numbers in full. */
function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
