import { formatPercent as percent } from "../src/cli/output.js";
import type { MetricResult } from "../src/evaluate/metrics/metric.js";
import type { FilterFacts } from "../src/evaluate/overlap/ngram-filter.js";
import type { OverlapSummary, Passage } from "../src/evaluate/overlap/overlap.js";
import { formatValue } from "../src/evaluate/report.js";
import type { HashedFile } from "../src/evaluate/report-file.js";

/** The contents of models/default/overlap.json. */
export interface OverlapFacts {
  readonly program: string;
  readonly training: FilterFacts & { readonly files: readonly HashedFile[] };
  /** SHA-256 of the tokenizer, which cuts long texts into items. */
  readonly tokenizer: string;
  readonly sets: readonly MeasuredSet[];
  /** Figures that depend on the weights. */
  readonly model?: ModelOverlap | undefined;
}

export interface MeasuredSet extends OverlapSummary {
  readonly name: string;
  /** The name in the card. */
  readonly title: string;
}

export interface ModelOverlap {
  /** SHA-256 of the weights' file. */
  readonly weights: string;
  readonly samples: OverlapSummary & { readonly longest?: Passage | undefined };
  /** The model's default sampling. */
  readonly sampling: { readonly maxNewTokens: number; readonly seed: number };
  /** A task's metrics on all its items, on those without overlap, and on those with overlap. */
  readonly metrics: readonly (Readonly<Record<"all" | "without" | "overlapping", MetricResult>> & {
    readonly task: string;
    readonly name: string;
  })[];
}

const HEADING = "## Overlap with the training text";
/** The section that follows this one. */
const NEXT = "## Use and limits";

/** The card with its section on overlap replaced, or inserted if it has none. */
export function withOverlap(card: string, facts: OverlapFacts): string {
  const start = card.indexOf(HEADING) >= 0 ? card.indexOf(HEADING) : card.indexOf(NEXT);
  if (start < 0) throw new Error(`the card has no section "${NEXT}"`);
  const end = card.indexOf("\n## ", start);
  const rest = card.startsWith(HEADING, start) ? (end < 0 ? "" : card.slice(end + 1)) : card.slice(start);
  return `${card.slice(0, start)}${overlapSection(facts)}\n${rest}`;
}

const OPENING_WORDS = 16;

const count = (n: number): string => n.toLocaleString("en");

function overlapSection({ training, sets, model }: OverlapFacts): string {
  const rows = sets.map(
    ({ title, name, ngrams, overlap, overlapping, items, largest }) =>
      `| ${title}${title === name ? "" : ` (\`${name}\`)`} | ${count(ngrams)} | ${percent(overlap)} | ` +
      `${count(overlapping)} of ${count(items)} | ${percent(largest)} |`,
  );
  return `${HEADING}

The share of a text's 8-grams (eight words in a row, lower-cased, letters and digits only) that also occur in the training text, looked up in a Bloom filter with at most one false positive in ${count(1 / training.bound)}, as in the paper's study ([docs/overlap.md](../../docs/overlap.md)). The training text: ${count(training.words)} words, ${count(training.ngrams)} 8-grams, about ${count(Math.round(training.distinct / 1000) * 1000)} of them distinct.

| text | 8-grams | overlap | items with any | largest in an item |
|---|---|---|---|---|
${rows.join("\n")}
${model ? modelParts(model, sets) : ""}`;
}

function modelParts({ samples, sampling, metrics }: ModelOverlap, sets: readonly MeasuredSet[]): string {
  const { longest, quantiles } = samples;
  const heldOut = sets.find(({ name }) => name === "valid.txt.gz");
  const beside = heldOut ? ` (${percent(heldOut.overlap)} for the held-out books)` : "";
  const none = `${count(samples.items - samples.overlapping)} of the texts have none`;
  const tenth = quantiles.p90 > 0 ? `, and one in ten has more than ${percent(quantiles.p90)}` : "";
  const passage = longest && ` The longest passage has ${longest.words} words: “${opening(longest.text)}”.`;
  const rows = metrics.map(({ task, name, ...parts }) => {
    const values = [parts.all, parts.without, parts.overlapping];
    return `| ${task}: ${name} | ${values.map(({ value, scale, items }) => `${formatValue(value, scale)} (${count(items)})`).join(" | ")} |`;
  });
  const table = `
The same evaluation without the items that overlap, and on these items alone (number of items in brackets):

| | all | without overlap | overlapping |
|---|---|---|---|
${rows.join("\n")}
`;
  return `
The model's own texts: of the 8-grams in ${count(samples.items)} texts of at most ${sampling.maxNewTokens} tokens without a prompt (seed ${sampling.seed}), ${percent(samples.overlap)} are in the training text${beside}; ${none}${tenth}.${passage ?? ""}
${metrics.length > 0 ? table : ""}`;
}

/** The first words of a text, with an ellipsis if there are more. */
function opening(text: string): string {
  const words = text.split(" ");
  return words.length > OPENING_WORDS ? `${words.slice(0, OPENING_WORDS).join(" ")} …` : text;
}
