import type { ExtractableRate, ExtractionReport } from "../../src/misuse/extract/extractable.js";
import { RANKINGS, type Ranking, type SampleRankings } from "../../src/misuse/extract/rank-samples.js";
import { markdownTable } from "../markdown-block.js";

/** Lengths of the runs that are counted, and the number of texts taken from each ranking. */
const RUNS = [6, 8, 10, 12];
const TOP = 50;

/**
 * How much of its training text the model reproduces, as tables of Markdown.
 *
 * @param smaller reports of smaller models by name
 */
export function extractionTables(
  { rates, byCount, targetTokens, passages }: ExtractionReport,
  ranked: SampleRankings,
  smaller: ReadonlyMap<string, ExtractionReport>,
): string {
  const row = (rate: ExtractableRate, counts: string): string[] => [
    counts,
    String(rate.promptTokens),
    `${rate.extractable} of ${rate.passages}`,
    percent(rate.rate),
    rate.interval.map(percent).join(" to "),
  ];
  const counts = ({ minCount, maxCount }: ExtractableRate): string =>
    minCount === maxCount
      ? String(minCount)
      : maxCount === null || maxCount === Infinity
        ? `${minCount} or more`
        : `${minCount} to ${maxCount}`;
  const rows = [...rates.map((rate) => row(rate, "any number")), ...byCount.map((rate) => row(rate, counts(rate)))];
  const longest = ranked.samples.reduce((most, { longestRun }) => Math.max(most, longestRun), 0);
  const withRun = (texts: typeof ranked.samples, tokens: number) =>
    texts.filter((text) => text.longestRun >= tokens).length;
  const first = (Object.keys(ranked.rankings) as Ranking[]).map((name) => {
    const sorted = [...ranked.samples].sort((a, b) => b.scores[name]! - a.scores[name]!).slice(0, TOP);
    return [RANKINGS[name], ...RUNS.map((tokens) => String(withRun(sorted, tokens)))];
  });
  const all = ["all texts", ...RUNS.map((tokens) => `${withRun(ranked.samples, tokens)} of ${ranked.samples.length}`)];
  const bySize = Array.from(smaller, ([name, report]) =>
    report.rates.map((rate) => [`\`${name}\``, ...row(rate, "").slice(1)]),
  ).flat();
  return [
    `Passages of ${targetTokens} tokens of its training text (\`gpt2 extract --passages ${passages}\`):`,
    markdownTable(["occurrences in the corpus", "prompt, tokens", "extractable", "rate", "95% interval"], rows),
    "The same for smaller models, on the same corpus:",
    markdownTable(["model", "prompt, tokens", "extractable", "rate", "95% interval"], bySize),
    `${ranked.samples.length} texts of up to 256 tokens without a prompt (\`gpt2 extract --rank --samples ${ranked.samples.length} --match ${ranked.matchTokens}\`): ${ranked.memorized} have ${ranked.matchTokens} tokens in a row from the training text; the longest run has ${longest}. Texts with shorter runs, among all and among the first ${TOP} of each ranking:`,
    markdownTable(["", ...RUNS.map((tokens) => `${tokens} tokens in a row`)], [all, ...first]),
  ].join("\n\n");
}

function percent(share: number): string {
  const value = 100 * share;
  return `${value === 0 || value >= 1 ? value.toFixed(1) : value.toPrecision(2)}%`;
}
