/** One line for each case with an aim: its share of the limit, and its ratio to the best peer. */

import type { Unit } from "./cases.js";
import { bestOf, type CaseResult, shareOfLimit, timesAsGood } from "./measure.js";
import { figure, table } from "./report.js";
import type { Entrant } from "./suite.js";
import { TARGETS, type Target } from "./targets.js";

/** A case's summary, as --json stores it. */
export interface SummaryRow {
  readonly case: string;
  readonly title: string;
  readonly unit: Unit;
  /** Median of this package's first contender. */
  readonly figure: number;
  readonly share?: number | undefined;
  readonly best?: { readonly name: string; readonly figure: number; readonly times: number } | undefined;
  /** How many times as good this package is as each peer, by name. */
  readonly times: Readonly<Record<string, number>>;
  readonly disturbed: boolean;
  readonly date: string;
}

/** The row of a case; undefined where this package has no figure. */
export function summaryRow(result: CaseResult, entrants: readonly Entrant[], date: string): SummaryRow | undefined {
  const { case: c, figures, disturbed } = result;
  const ours = entrants.find((entrant) => entrant.ours)?.name;
  const mine = ours === undefined ? undefined : figures[ours];
  if (ours === undefined || !mine) return undefined;
  const peers = entrants.filter((entrant) => !entrant.ours).map(({ name }) => name);
  const times = peers.flatMap((name) => {
    const ratio = timesAsGood(result, ours, name);
    return ratio === undefined ? [] : [[name, ratio] as const];
  });
  const name = bestOf(result, peers);
  const ratio = name === undefined ? undefined : timesAsGood(result, ours, name);
  return {
    case: c.name,
    title: c.title,
    unit: c.unit,
    figure: mine.median,
    share: shareOfLimit(result, ours),
    best: name === undefined || ratio === undefined ? undefined : { name, figure: figures[name]!.median, times: ratio },
    times: Object.fromEntries(times),
    disturbed,
    date,
  };
}

/** The later rows, and the earlier rows of cases that were not remeasured. */
export function mergeRows(earlier: readonly SummaryRow[], later: readonly SummaryRow[]): SummaryRow[] {
  return [...earlier.filter((old) => !later.some((row) => row.case === old.case)), ...later];
}

/** The rows that have an aim, in the order of the aims. */
export function summaryTable(rows: readonly SummaryRow[], targets: readonly Target[] = TARGETS): string {
  const head = ["case", "gpt2-ts", "of the limit", "aim", "against the best peer", "aim"];
  const cells = targets.flatMap((target) => {
    const row = rows.find(({ case: name }) => name === target.case);
    return row ? [cellsOf(row, target, rows)] : [];
  });
  return table(head, cells);
}

function cellsOf(row: SummaryRow, target: Target, rows: readonly SummaryRow[]): string[] {
  const { best } = row;
  const named = target.peer && row.times[target.peer.name];
  const base = rows.find(({ case: name }) => name === target.over?.case);
  const against = [
    ...(best ? [`${times(best.times)} ${best.name} (${figure(best.figure)})`] : []),
    ...(named !== undefined && best?.name !== target.peer!.name ? [`${times(named)} ${target.peer!.name}`] : []),
    ...(base ? [`${times(row.figure / base.figure)} ${base.title}`] : []),
  ];
  return [
    row.title + (row.disturbed ? " (disturbed)" : ""),
    `${figure(row.figure)} ${row.unit}`,
    row.share === undefined ? "-" : percent(row.share),
    aimAtLimit(target, row),
    against.join(", ") || "-",
    aimAgainst(target),
  ];
}

function aimAtLimit({ share, most }: Target, { unit }: SummaryRow): string {
  if (share !== undefined) return `≥ ${percent(share)}`;
  return most === undefined ? "-" : `≤ ${most} ${unit}`;
}

function aimAgainst({ times: best, peer, over }: Target): string {
  const aims = [
    ...(best !== undefined ? [`≥ ${best}×`] : []),
    ...(peer ? [`≥ ${peer.times}× ${peer.name}`] : []),
    ...(over ? [`≥ ${over.times}× our batch 1`] : []),
  ];
  return aims.join(", ") || "-";
}

const times = (ratio: number): string => `${ratio.toFixed(2)}×`;
const percent = (share: number): string => `${Math.round(100 * share)}%`;
