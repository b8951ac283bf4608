/**
 * Compares a report of `gpt2 eval --json` with the LM evaluation harness's results for the same items and model:
 *
 *     python3 scripts/python/make_harness_fixture.py --model models/default --data DIR --limit 100 --out harness.json
 *     gpt2 eval lambada hellaswag blimp:each wikitext-2:harness --data DIR --limit 100 --json ours.json
 *     node dist/scripts/compare-harness.js ours.json harness.json [comparison.json]
 *
 * A limit counts pages of WikiText in the harness and windows of the context here; the common part is compared. Exits with
 * status 1 if a decision differs, or a log-probability by more than one part in 10,000. Speeds are in
 * items (or bytes of WikiText) per second, once for the whole evaluation and once for answering requests alone, without reading and
 * cutting the data (in the harness: its model's calls alone). They are comparable if both ran with the same number of threads on an otherwise idle machine.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { EvaluationReport } from "../src/evaluate/report-file.js";
import type { TaskResult } from "../src/evaluate/run.js";
import type { Outcome } from "../src/evaluate/task.js";

interface HarnessReport {
  readonly results: Readonly<Record<string, { readonly items: readonly Outcome[] }>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly dtype: string;
  readonly threads?: number;
  /** By set. */
  readonly seconds?: Readonly<Record<string, { readonly all: number; readonly model: number }>>;
}

/** The output, for scripts/evaluation-tables.ts. */
export interface HarnessComparison {
  readonly versions: Readonly<Record<string, string>>;
  readonly ours: { readonly backend: string };
  readonly harness: { readonly dtype: string; readonly threads?: number | undefined };
  readonly sets: readonly SetComparison[];
}

export interface SetComparison {
  readonly set: string;
  readonly items: number;
  readonly decidedDifferently: number;
  /** Largest relative difference of a log-probability. */
  readonly worst: number;
  /** The unit of speeds: items, or bytes. */
  readonly unit: "items" | "bytes";
  readonly speed?: {
    readonly all: { readonly ours: number; readonly harness: number };
    /**
     * Speed of answering requests alone, without reading and cutting the data; for the harness, of its model's calls.
     */
    readonly answering: { readonly ours: number; readonly harness: number };
  };
}

/** An item's numbers and decisions, ours or the harness's. */
interface Compared {
  readonly numbers: readonly number[];
  readonly decisions: readonly (boolean | number)[];
}

const TOLERANCE = 1e-4;

const [oursPath, harnessPath, out] = process.argv.slice(2) as [string, string, string?];
const ours = JSON.parse(readFileSync(oursPath, "utf8")) as EvaluationReport;
const harness = JSON.parse(readFileSync(harnessPath, "utf8")) as HarnessReport;
const names = [...new Set(Object.keys(harness.results).map((name) => name.split("/")[0]!))];
const sets = names.filter((set) => resultOf(set)).map(compareSet);
for (const { set, items, decidedDifferently, worst, unit, speed } of sets) {
  if (decidedDifferently > 0 || worst > TOLERANCE) process.exitCode = 1;
  const difference = `largest relative difference of a log-probability ${worst.toExponential(1)}`;
  process.stdout.write(`${set}: ${items} items, ${decidedDifferently} decided differently, ${difference}\n`);
  if (!speed) continue;
  for (const [what, { ours, harness }] of Object.entries(speed)) {
    process.stdout.write(`  ${what}: ours ${ours.toPrecision(3)} ${unit}/s, the harness ${harness.toPrecision(3)}\n`);
  }
}
if (out !== undefined) {
  const { versions, dtype, threads } = harness;
  const comparison = { versions, ours: { backend: ours.model.backend }, harness: { dtype, threads }, sets };
  writeFileSync(out, `${JSON.stringify(comparison satisfies HarnessComparison)}\n`);
}

function resultOf(set: string): TaskResult | undefined {
  return ours.results.find(({ task }) => task === (set === "wikitext" ? "wikitext-2" : set));
}

function compareSet(set: string): SetComparison {
  const lists = Object.entries(harness.results).filter(([name]) => name.split("/")[0] === set);
  const pairs = lists.flatMap(([name, { items }]) => pairUp(name, items));
  let [worst, decidedDifferently] = [0, 0];
  for (const [a, b] of pairs) {
    for (const [i, want] of b.numbers.entries()) {
      worst = Math.max(worst, Math.abs(a.numbers[i]! - want) / Math.max(1, Math.abs(want)));
    }
    if (b.decisions.some((want, i) => Number(want) !== Number(a.decisions[i]))) decidedDifferently++;
  }
  const unit = set === "wikitext" ? "bytes" : "items";
  const result = resultOf(set)!;
  const seconds = harness.seconds?.[set];
  const amount = (outcomes: readonly Outcome[]) =>
    unit === "items" ? outcomes.length : outcomes.reduce((sum, { bytes }) => sum + (bytes as number), 0);
  const theirs = lists.reduce((sum, [, { items }]) => sum + amount(items), 0);
  const own = amount(result.outcomes);
  const speed = seconds && {
    all: { ours: own / result.seconds, harness: theirs / seconds.all },
    answering: { ours: own / (result.seconds - result.secondsPreparing), harness: theirs / seconds.model },
  };
  return { set, items: pairs.length, decidedDifferently, worst, unit, ...(speed && { speed }) };
}

function pairUp(name: string, items: readonly Outcome[]): (readonly [Compared, Compared])[] {
  const [task, paradigm] = name.split("/");
  const result = resultOf(task!)!;
  if (task === "wikitext") return pages(result, items);
  const own = result.outcomes.filter((outcome) => paradigm === undefined || outcome.paradigm === paradigm);
  return items.slice(0, own.length).map((item, i) => [fromOurs(task!, own[i]!), fromHarness(task!, item)] as const);
}

function fromOurs(task: string, outcome: Outcome): Compared {
  if (task === "lambada") return { numbers: [outcome.logprob as number], decisions: [outcome.greedy as boolean] };
  if (task === "blimp") {
    return { numbers: [outcome.good as number, outcome.bad as number], decisions: [outcome.right as boolean] };
  }
  const { right, byTotal, byCharacter, logprobs } = outcome;
  return { numbers: logprobs as number[], decisions: [byTotal === right, byCharacter === right] };
}

function fromHarness(task: string, item: Outcome): Compared {
  if (task === "lambada") return { numbers: [item.logprob as number], decisions: [item.greedy as boolean] };
  const decisions = [item.acc as number, ...(task === "hellaswag" ? [item.acc_norm as number] : [])];
  return { numbers: item.logprobs as number[], decisions };
}

/** Whole pages: ours come in pieces, and the last may be incomplete. */
function pages({ outcomes, items, ofItems }: TaskResult, pages: readonly Outcome[]): (readonly [Compared, Compared])[] {
  const last = items === ofItems ? Number.POSITIVE_INFINITY : (outcomes.at(-1)!.document as number);
  return pages
    .filter((_, page) => page < last)
    .map((page, i) => {
      const own = outcomes.filter(({ document }) => document === i);
      const sum = (key: string) => own.reduce((total, outcome) => total + (outcome[key] as number), 0);
      const numbers = (values: readonly unknown[]): Compared => ({ numbers: values as number[], decisions: [] });
      return [
        numbers(["logprob", "words", "bytes"].map(sum)),
        numbers([page.logprob, page.words, page.bytes]),
      ] as const;
    });
}
