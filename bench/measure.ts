/**
 * Interleaved measuring: a round has one run of every contender, and between the runs the machine's own limit is taken.
 * A round in which the machine was not what it can be is done again, a bounded number of times.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Case } from "./cases.js";
import type { LimitKind } from "./limits.js";
import type { Result, Task } from "./protocol.js";
import { median, type Spread, spread } from "./statistics.js";

/** A limit below this share of the best one seen means that something else was running. */
export const QUIET = 0.85;

/** Seconds to wait after a disturbed round. */
const PAUSE = 2;

export interface Runner {
  readonly name: string;
  request(task: Task): Promise<Result>;
}

/** `sample` measures the machine now, `best` is the best sample so far. */
export interface LimitGauge {
  sample(kind: LimitKind): Promise<number>;
  best(kind: LimitKind): number;
}

export interface Round {
  /** Tokens per second by contender. */
  readonly rates: Readonly<Record<string, number>>;
  /** Before the first run, and after each. Empty without a gauge. */
  readonly limits: readonly number[];
}

export interface CaseResult {
  readonly case: Case;
  readonly rounds: readonly Round[];
  /** Rounds that count: the quiet ones or, if there were none, all. */
  readonly counted: readonly Round[];
  /** Fewer quiet rounds than asked for. */
  readonly disturbed: boolean;
  /** Operations, or bytes, per second over the rounds that count; undefined without a gauge. */
  readonly limit: Spread | undefined;
  readonly rates: Readonly<Record<string, Spread>>;
}

export interface MeasureOptions {
  /** Quiet rounds wanted. */
  readonly repeats: number;
  /** Rounds to do again at most. */
  readonly retries: number;
  /** Whether everyone runs once before; true by default. */
  readonly warmUp?: boolean;
  readonly gauge?: LimitGauge | undefined;
  readonly log?: (line: string) => void;
  readonly pauseSeconds?: number;
}

export async function measureCase(
  c: Case,
  runners: readonly Runner[],
  { repeats, retries, warmUp = true, gauge, log, pauseSeconds = PAUSE }: MeasureOptions,
): Promise<CaseResult> {
  const rounds: Round[] = [];
  const quiet = () => rounds.filter(({ limits }) => limits.every((l) => l >= QUIET * gauge!.best(c.limit.kind)));
  if (warmUp) for (const { request } of runners) await request(c.task);
  while (quiet().length < repeats && rounds.length < repeats + retries) {
    const before = quiet().length;
    // Every other round in reverse, so that nobody always follows the same other.
    const order = rounds.length % 2 === 0 ? runners : runners.toReversed();
    rounds.push(await round(c, order, gauge));
    const disturbed = quiet().length <= before;
    log?.(describe(c, rounds.at(-1)!, disturbed, gauge));
    if (disturbed) await sleep(1000 * pauseSeconds);
  }
  const enough = quiet().length >= repeats;
  const counted = quiet().length > 0 ? quiet() : rounds;
  const limits = counted.flatMap((r) => r.limits);
  const rates = runners.map(({ name }) => [name, spread(counted.map((r) => r.rates[name]!))] as const);
  return {
    case: c,
    rounds,
    counted,
    disturbed: !enough,
    limit: limits.length > 0 ? spread(limits) : undefined,
    rates: Object.fromEntries(rates),
  };
}

async function round(c: Case, runners: readonly Runner[], gauge: LimitGauge | undefined): Promise<Round> {
  const { kind } = c.limit;
  const limits = gauge ? [await gauge.sample(kind)] : [];
  const rates: Record<string, number> = {};
  for (const { name, request } of runners) {
    rates[name] = c.tokensPerSecond(await request(c.task));
    if (gauge) limits.push(await gauge.sample(kind));
  }
  return { rates, limits };
}

function describe(c: Case, { rates, limits }: Round, disturbed: boolean, gauge: LimitGauge | undefined): string {
  const figures = Object.entries(rates).map(([name, rate]) => `${name} ${rate.toPrecision(3)}`);
  const shares = limits.map((l) => Math.round((100 * l) / gauge!.best(c.limit.kind)));
  const state = gauge ? ` (machine at ${Math.min(...shares)}%${disturbed ? ": disturbed" : ""})` : "";
  return `${c.name}: ${figures.join(", ")} tokens/s${state}`;
}

/** The median rate as a share of what the machine could do meanwhile; undefined without a gauge. */
export function shareOfLimit({ case: c, limit, rates }: CaseResult, name: string): number | undefined {
  const rate = rates[name];
  return limit && rate && (rate.median * c.limit.perToken) / limit.median;
}

/** How many times as fast as `other` it was: the median over the rounds, each of which compares like with like. */
export function timesAsFast({ counted }: CaseResult, name: string, other: string): number {
  return median(counted.map(({ rates }) => rates[name]! / rates[other]!));
}
