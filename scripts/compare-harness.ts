/**
 * Compares what `gpt2 eval --json` wrote with what the LM evaluation harness says about the same items and model:
 *
 *     python3 scripts/python/make_harness_fixture.py --model models/default --data DIR --limit 100 --out harness.json
 *     gpt2 eval lambada hellaswag blimp:each wikitext-2:harness --data DIR --limit 100 --json ours.json
 *     node dist/scripts/compare-harness.js ours.json harness.json
 *
 * With a limit the harness takes so many pairs of each of BLiMP's paradigms and so many pages of WikiText: compared is what
 * both have. Exits with status 1 if a decision differs, or a log-probability by more than one part in 10,000.
 */
import { readFileSync } from "node:fs";
import type { EvaluationReport } from "../src/cli/evaluate/session.js";
import type { TaskResult } from "../src/evaluate/run.js";
import type { Outcome } from "../src/evaluate/task.js";

interface HarnessReport {
  readonly results: Readonly<Record<string, { readonly items: readonly Outcome[] }>>;
  readonly seconds?: number;
}

/** An item's numbers and decisions, ours or the harness's. */
interface Compared {
  readonly numbers: readonly number[];
  readonly decisions: readonly (boolean | number)[];
}

const TOLERANCE = 1e-4;

const [oursPath, harnessPath] = process.argv.slice(2) as [string, string];
const ours = JSON.parse(readFileSync(oursPath, "utf8")) as EvaluationReport;
const harness = JSON.parse(readFileSync(harnessPath, "utf8")) as HarnessReport;
const sets = new Map<string, (readonly [Compared, Compared])[]>();
for (const [name, { items }] of Object.entries(harness.results)) {
  const set = name.split("/")[0]!;
  sets.set(set, [...(sets.get(set) ?? []), ...pairUp(name, items)]);
}
for (const [set, pairs] of sets) {
  let [worst, differing] = [0, 0];
  for (const [a, b] of pairs) {
    for (const [i, want] of b.numbers.entries()) {
      worst = Math.max(worst, Math.abs(a.numbers[i]! - want) / Math.max(1, Math.abs(want)));
    }
    if (b.decisions.some((want, i) => Number(want) !== Number(a.decisions[i]))) differing++;
  }
  if (differing > 0 || worst > TOLERANCE) process.exitCode = 1;
  const difference = `largest relative difference of a log-probability ${worst.toExponential(1)}`;
  process.stdout.write(`${set}: ${pairs.length} items, ${differing} decided otherwise, ${difference}\n`);
}
if (harness.seconds !== undefined) {
  const seconds = ours.results.reduce((sum, result) => sum + result.seconds, 0);
  process.stdout.write(
    `ours ${seconds.toFixed(1)} s, the harness ${harness.seconds.toFixed(1)} s, data read included\n`,
  );
}

function pairUp(name: string, items: readonly Outcome[]): (readonly [Compared, Compared])[] {
  const [task, paradigm] = name.split("/");
  const result = ours.results.find((candidate) => candidate.task === (task === "wikitext" ? "wikitext-2" : task));
  if (!result) return [];
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

/** Whole pages: ours come in pieces, the last perhaps without its end. */
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
