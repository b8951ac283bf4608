/**
 * Interleaved measurements: a round has one run of every contender, and the machine's own limit is measured between the
 * runs. A run during which the machine fell short of its limits is retried, a bounded number of times.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Case } from "./cases.js";
import type { LimitKind } from "./limits.js";
import type { Outcome, Task } from "./protocol.js";
import { median, type Spread, spread } from "./statistics.js";

/** A limit below this share of the best one seen means that something else is running. */
export const QUIET = 0.85;

/** Seconds to wait after a disturbed run before the limit is remeasured. */
const PAUSE = 2;

/** Maximum number of waits in a case for a machine below its limits. */
const PATIENCE = 20;

/** Retries of a run before the other contenders have their turn. */
const INSISTENCE = 2;

export interface Runner {
  readonly name: string;
  request(task: Task): Promise<Outcome>;
}

/** `sample` measures the machine now, `best` is the best sample so far. */
export interface LimitGauge {
  sample(kind: LimitKind): Promise<number>;
  best(kind: LimitKind): number;
}

/** A contender's part in a round. */
export interface Run {
  /** The result, in the case's unit. */
  readonly figure: number;
  /** The limits right before and right after the run. Empty without a gauge. */
  readonly limits: readonly number[];
}

/** Results by contender; contenders without a result are left out. */
export type Round = Readonly<Record<string, Run>>;

export interface CaseResult {
  readonly case: Case;
  readonly rounds: readonly Round[];
  /** Rounds that count: the quiet ones or, if there were none, all. */
  readonly counted: readonly Round[];
  /** Fewer quiet rounds than requested. */
  readonly disturbed: boolean;
  /** Limits, in operations or bytes per second, over the rounds that count; undefined without a gauge. */
  readonly limit: Spread | undefined;
  readonly figures: Readonly<Record<string, Spread>>;
}

export interface MeasureOptions {
  /** Quiet rounds wanted. */
  readonly repeats: number;
  /** Retries of each contender at most, on average. */
  readonly retries: number;
  /** Whether every contender first runs once without being measured; true by default. */
  readonly warmUp?: boolean;
  readonly gauge?: LimitGauge | undefined;
  readonly log?: (line: string) => void;
  readonly pauseSeconds?: number;
  /** Called with a runner that failed, which is then left out; without this callback, the failure ends the case. */
  readonly onFailure?: (name: string, error: Error) => void;
}

export async function measureCase(c: Case, runners: readonly Runner[], options: MeasureOptions): Promise<CaseResult> {
  const { repeats, warmUp = true, gauge, log } = options;
  const measuring = new Measuring(c, runners, options);
  const rounds: Round[] = [];
  const quiet = () => rounds.filter((round) => lowest(round) >= QUIET * (gauge?.best(c.limit.kind) ?? 0));
  if (warmUp) await measuring.warmUp();
  while (quiet().length < repeats && (rounds.length < repeats || measuring.mayAddRound())) {
    // Every other round is in reverse order, so that no contender always follows the same one.
    rounds.push(await measuring.round(rounds.length % 2 === 1));
    log?.(describe(c, rounds.at(-1)!, gauge));
  }
  const counted = quiet().length > 0 ? quiet() : rounds;
  return {
    case: c,
    rounds,
    counted,
    disturbed: quiet().length < repeats,
    ...summary(counted, measuring.standing),
  };
}

/** The runs of one case. */
class Measuring {
  readonly #case: Case;
  readonly #runners: readonly Runner[];
  readonly #options: MeasureOptions;
  readonly #failed = new Set<string>();
  /** Retries left. */
  #budget: number;
  #patience = PATIENCE;

  constructor(c: Case, runners: readonly Runner[], options: MeasureOptions) {
    this.#case = c;
    this.#runners = runners;
    this.#options = options;
    this.#budget = options.retries * runners.length;
  }

  /** Names of the contenders that have not failed. */
  get standing(): string[] {
    return this.#runners.map(({ name }) => name).filter((name) => !this.#failed.has(name));
  }

  async warmUp(): Promise<void> {
    for (const runner of this.#runners) await this.#attempt(runner);
  }

  /** Takes a whole round from the budget, and returns false if too few runs are left. */
  mayAddRound(): boolean {
    if (this.#budget < this.#runners.length) return false;
    this.#budget -= this.#runners.length;
    return true;
  }

  async round(reversed: boolean): Promise<Round> {
    const round: Record<string, Run> = {};
    let before = await this.#sample();
    for (const runner of reversed ? this.#runners.toReversed() : this.#runners) {
      for (let retries = 0; ; retries++) {
        const figure = await this.#attempt(runner);
        const limits = [...before, ...(before = await this.#sample())];
        if (figure === undefined) break;
        round[runner.name] = { figure, limits };
        if (this.#isQuiet(limits) || this.#budget === 0 || retries === INSISTENCE) break;
        this.#budget--;
        this.#options.log?.(`${this.#case.name}: ${runner.name} was disturbed; once more`);
        before = await this.#quietLimit();
      }
    }
    return round;
  }

  async #sample(): Promise<number[]> {
    const { gauge } = this.#options;
    return gauge ? [await gauge.sample(this.#case.limit.kind)] : [];
  }

  #isQuiet(limits: readonly number[]): boolean {
    const { gauge } = this.#options;
    return !gauge || Math.min(...limits) >= QUIET * gauge.best(this.#case.limit.kind);
  }

  /** Waits until the machine reaches its limits, but not for long. */
  async #quietLimit(): Promise<number[]> {
    for (;;) {
      await sleep(1000 * (this.#options.pauseSeconds ?? PAUSE));
      const limits = await this.#sample();
      if (this.#isQuiet(limits) || this.#patience === 0) return limits;
      this.#patience--;
    }
  }

  async #attempt({ name, request }: Runner): Promise<number | undefined> {
    if (this.#failed.has(name)) return undefined;
    try {
      return this.#case.figure(await request(this.#case.task));
    } catch (error) {
      if (!this.#options.onFailure) throw error;
      this.#failed.add(name);
      this.#options.onFailure(name, error as Error);
      return undefined;
    }
  }
}

const lowest = (round: Round): number => Math.min(...Object.values(round).flatMap(({ limits }) => limits));

function summary(rounds: readonly Round[], names: readonly string[]): Pick<CaseResult, "limit" | "figures"> {
  const limits = rounds.flatMap((round) => Object.values(round).flatMap((run) => run.limits));
  const figures = names
    .map((name) => [name, rounds.flatMap(({ [name]: run }) => run?.figure ?? [])] as const)
    .filter(([, values]) => values.length > 0);
  return {
    limit: limits.length > 0 ? spread(limits) : undefined,
    figures: Object.fromEntries(figures.map(([name, values]) => [name, spread(values)])),
  };
}

function describe(c: Case, round: Round, gauge: LimitGauge | undefined): string {
  const texts = Object.entries(round).map(([name, { figure }]) => `${name} ${figure.toPrecision(3)}`);
  const share = gauge ? lowest(round) / gauge.best(c.limit.kind) : 1;
  const state = gauge ? ` (machine at ${Math.round(100 * share)}%${share < QUIET ? ": disturbed" : ""})` : "";
  return `${c.name}: ${texts.join(", ")} ${c.unit}${state}`;
}

/**
 * The rate as a share of the machine's limit right before and after: the median over the rounds. Undefined without a
 * gauge or a limit.
 */
export function shareOfLimit({ case: c, counted }: CaseResult, name: string): number | undefined {
  const { perToken } = c.limit;
  if (perToken === undefined) return undefined;
  const shares = counted.flatMap(({ [name]: run }) => {
    if (!run || run.limits.length === 0) return [];
    const limit = run.limits.reduce((a, b) => a + b, 0) / run.limits.length;
    return (run.figure * perToken) / limit;
  });
  return shares.length > 0 ? median(shares) : undefined;
}

/**
 * How many times as fast, or as small, a contender was as `other`: the median over the rounds, each of which compares
 * like with like. Undefined if either has no figures.
 */
export function timesAsGood({ case: c, counted }: CaseResult, name: string, other: string): number | undefined {
  const ratios = counted.flatMap(({ [name]: mine, [other]: theirs }) => {
    if (!mine || !theirs) return [];
    return c.unit === "tokens/s" ? mine.figure / theirs.figure : theirs.figure / mine.figure;
  });
  return ratios.length > 0 ? median(ratios) : undefined;
}

/** The contender with the best median. */
export function bestOf({ case: c, figures }: CaseResult, names: readonly string[]): string | undefined {
  const sign = c.unit === "tokens/s" ? 1 : -1;
  return names.filter((name) => figures[name]).toSorted((a, b) => sign * (figures[b]!.median - figures[a]!.median))[0];
}
