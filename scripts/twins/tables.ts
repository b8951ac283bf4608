import { bootstrap, type Interval } from "../../src/evaluate/metrics/metric.js";
import { markdownTable } from "../markdown-block.js";
import type { BlankResult } from "./blanks.js";
import { CANDIDATES } from "./blanks.js";
import type { BlimpResult } from "./blimp.js";
import type { LabelResult } from "./labels.js";
import { correlation } from "./similarity.js";
import type { Training, TwinName } from "./twin.js";
import { distinctShare, type Opening, type WritingResult } from "./writing.js";

/** All results of one twin for one seed. */
export interface TwinResults {
  readonly training: Training;
  readonly blimp: BlimpResult;
  readonly blanks: BlankResult;
  readonly cosines: readonly number[];
  /** Results by labelled set. */
  readonly fineTuned: Readonly<Record<string, LabelResult>>;
  readonly frozen: Readonly<Record<string, LabelResult>>;
  readonly writing: WritingResult;
}

export interface Compared {
  /** By seed. */
  readonly twins: Readonly<Record<TwinName, readonly TwinResults[]>>;
  readonly judgements: readonly number[];
  readonly wordCosines: readonly number[];
  /** Share of the most frequent label of each labelled set. */
  readonly majorities: Readonly<Record<string, number>>;
  readonly openings: readonly Opening[];
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const percent = (x: number): string => `${(100 * x).toFixed(1)}`;
const signed = (x: number): string => `${x >= 0 ? "+" : "−"}${percent(Math.abs(x))}`;

/** The mean over seeds, for each item. */
const overSeeds = (all: readonly (readonly number[])[]): number[] =>
  all[0]!.map((_, i) => mean(all.map((values) => values[i]!)));

const intervalOf = (values: readonly number[]): Interval =>
  bootstrap(values.length, (indices) => {
    let sum = 0;
    for (const i of indices) sum += values[i]!;
    return sum / indices.length;
  });

function share(values: readonly number[]): string {
  const { low, high } = intervalOf(values);
  return `${percent(mean(values))} (${percent(low)} to ${percent(high)})`;
}

function difference(bert: readonly number[], gpt2: readonly number[]): string {
  const values = bert.map((x, i) => x - gpt2[i]!);
  const { low, high } = intervalOf(values);
  return `${signed(mean(values))} (${signed(low)} to ${signed(high)})`;
}

/** Tokens, targets and time of each twin's training. */
export function trainingTable({ twins }: Compared): string {
  const rows = (["gpt2", "bert"] as const).map((name) => {
    const { parameters, tokens, targets } = twins[name][0]!.training;
    const seconds = mean(twins[name].map(({ training }) => training.seconds));
    const numbers = [parameters, tokens, targets].map((n) => n.toLocaleString("en-US"));
    return [NAMES[name], ...numbers, `${(seconds / 60).toFixed(1)}`];
  });
  return markdownTable(["", "parameters", "tokens read", "tokens predicted", "minutes, one thread"], rows);
}

const NAMES: Readonly<Record<TwinName, string>> = { gpt2: "GPT-2", bert: "BERT" };

/** Choices that both make: percent correct, with 95% intervals over items. */
export function choiceTable({ twins, judgements, wordCosines, majorities }: Compared): string {
  const rows: string[][] = [];
  const add = (
    measure: string,
    gpt2: (results: TwinResults) => readonly number[],
    bert: (results: TwinResults) => readonly number[],
    chance: string,
  ): void => {
    const [a, b] = [overSeeds(twins.gpt2.map(gpt2)), overSeeds(twins.bert.map(bert))];
    rows.push([measure, String(a.length), share(a), share(b), difference(b, a), chance]);
  };
  const way = (name: string) => (of: TwinResults) => of.blanks.ways[name]!;
  const right = ({ blimp }: TwinResults) => blimp.right;
  add("BLiMP: the grammatical one of two sentences", right, right, "50");
  const chance = String(100 / CANDIDATES);
  add(`a blank, ${CANDIDATES} candidates; GPT-2 by whole sentences`, way("whole"), way("mask"), chance);
  add(`a blank, ${CANDIDATES} candidates; GPT-2 by the left side`, way("left"), way("mask"), chance);
  add("a blank, any token; GPT-2 by the left side", way("open"), way("open"), "");
  for (const [name, majority] of Object.entries(majorities)) {
    const of = (ways: "fineTuned" | "frozen") => (results: TwinResults) => results[ways][name]!.right;
    add(`${name}, the model fine-tuned`, of("fineTuned"), of("fineTuned"), percent(majority));
    add(`${name}, regression on frozen states`, of("frozen"), of("frozen"), percent(majority));
  }
  const [a, b] = (["gpt2", "bert"] as const).map((name) => twins[name].map(({ cosines }) => cosines));
  const shown = (models: readonly (readonly number[])[]): string => {
    const { value, interval } = correlation(models, judgements);
    return `${percent(value)} (${percent(interval.low)} to ${percent(interval.high)})`;
  };
  const words = percent(correlation([wordCosines], judgements).value);
  const count = String(judgements.length);
  rows.push(["similarity, Spearman's ρ × 100", count, shown(a!), shown(b!), "", `${words} by shared words`]);
  return markdownTable(["% correct", "items", "GPT-2", "BERT", "BERT − GPT-2", "chance"], rows);
}

/** BLiMP by phenomenon. */
export function phenomenonTable({ twins }: Compared): string {
  const kinds = twins.gpt2[0]!.blimp.phenomenon;
  const [gpt2, bert] = (["gpt2", "bert"] as const).map((name) =>
    overSeeds(twins[name].map(({ blimp }) => blimp.right)),
  );
  const rows = [...new Set(kinds)].sort().map((kind) => {
    const of = (values: readonly number[]): number[] => values.filter((_, i) => kinds[i] === kind);
    const [a, b] = [of(gpt2!), of(bert!)];
    return [kind.replaceAll("_", " "), String(a.length), share(a), share(b), difference(b, a)];
  });
  return markdownTable(["phenomenon", "pairs", "GPT-2", "BERT", "BERT − GPT-2"], rows);
}

/** How much the twins' texts repeat themselves, and the first three texts of each. */
export function writingTable({ twins, openings }: Compared): string {
  const texts = (name: TwinName, way: "greedy" | "sampled"): string[][] =>
    twins[name].map(({ writing }) => writing[way] as string[]);
  const row = (title: string, given: readonly (readonly string[])[]): string[] => [
    title,
    ...[1, 2, 4].map((n) => share(overSeeds(given.map((own) => own.map((text) => distinctShare(text, n)))))),
  ];
  // About as many words as the models write.
  const people = openings.map(({ next }) => next.split(" ").slice(0, 31).join(" "));
  const rows = [
    row("GPT-2, the likeliest token", texts("gpt2", "greedy")),
    row("BERT, the likeliest token", texts("bert", "greedy")),
    row("GPT-2, sampled", texts("gpt2", "sampled")),
    row("BERT, sampled", texts("bert", "sampled")),
    row("the text itself", [people]),
  ];
  const head = ["distinct, % of a text's", "words and punctuation marks", "pairs of them", "runs of four"];
  const table = markdownTable(head, rows);
  const samples = openings
    .slice(0, 3)
    .map(({ prompt }, i) => [
      quoted(prompt),
      quoted(twins.gpt2[0]!.writing.sampled[i]!),
      quoted(twins.bert[0]!.writing.sampled[i]!),
    ]);
  return `${table}\n\n${markdownTable(["opening", "GPT-2's continuation, sampled", "BERT's continuation, sampled"], samples)}`;
}

const quoted = (text: string): string =>
  text.replace(/\s+/g, " ").trim().replaceAll("|", "\\|").replaceAll("<", "&lt;");
