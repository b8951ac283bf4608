import type { Command } from "commander";
import { type ExtractionReport, measureExtractable } from "../../misuse/extract/extractable.js";
import { RANKINGS, type Ranking, rankSamples, type SampleRankings } from "../../misuse/extract/rank-samples.js";
import { openIndexFor, type TokenIndex } from "../../misuse/trace/token-index.js";
import { progress } from "../../util/progress.js";
import { loadModel, type ModelFlags } from "../model.js";
import { addModelOptions, addReportOptions, count, progressMode } from "../options.js";
import { formatPercent, formatTable, plural, print, printJson } from "../output.js";
import { interruptible } from "../signals.js";

interface ExtractFlags extends ModelFlags {
  readonly index: string;
  readonly prompts?: number[];
  readonly match: number;
  readonly passages: number;
  readonly rank?: true;
  readonly samples: number;
  readonly top: number;
  readonly small?: string;
  readonly medium?: string;
  readonly seed: number;
  readonly progress?: true;
  readonly json?: true;
}

const HELP = `
A passage of the corpus is extractable with k tokens if the model, given the k tokens
before it, continues greedily with the passage itself (Carlini et al. 2023). Rates are
shown for each k, and by how often the passage occurs in the corpus, with 95% intervals.

With --rank the model writes texts without a prompt. They are ranked by the six measures
of Carlini et al. 2021, and the first texts of each ranking that have --match tokens in a
row from the corpus are counted. --small and --medium name models to compare with.

Examples:
  $ gpt2 extract --index corpus.index
  $ gpt2 extract --index corpus.index --model runs/a/model --prompts 10,50,100,200 --passages 5000
  $ gpt2 extract --index corpus.index --rank --samples 2000 --match 20`;

/** Adds `gpt2 extract`. */
export function registerExtract(program: Command): void {
  const command = program
    .command("extract")
    .summary("measure how much of a corpus a model reproduces")
    .description("Measure how much of its training text a model reproduces word for word.")
    .requiredOption("--index <dir>", "index of the corpus, made by gpt2 index with the model's tokenizer")
    .option("--prompts <lengths>", "tokens of context, separated by commas (default: 10,50,100,200)", lengths)
    .option("--match <n>", "tokens that must be reproduced", count, 50)
    .option("--passages <n>", "passages of the corpus to try", count, 1000)
    .option("--rank", "rank texts that the model generates, instead of trying passages")
    .option("--samples <n>", "texts to generate for --rank", count, 1000)
    .option("--top <n>", "texts to check at the top of each ranking", count, 100)
    .option("--small <model>", "a smaller model, for the ranking by comparison")
    .option("--medium <model>", "a medium model, for the ranking by comparison")
    .option("--seed <n>", "seed for choosing passages and sampling", count, 1);
  addReportOptions(addModelOptions(command)).addHelpText("after", HELP).action(extract);
}

const lengths = (text: string): number[] => text.split(",").map(count);

async function extract(flags: ExtractFlags): Promise<void> {
  let index: TokenIndex | undefined;
  const line = progress({ label: "extract", unit: flags.rank ? "texts" : "passages", mode: progressMode(flags) });
  const onProgress = (done: number, total: number): void => {
    line.setTotal(total);
    line.update(done);
  };
  await interruptible(async (signal) => {
    const model = await loadModel(flags, signal);
    index = await openIndexFor(model.tokenizer, flags.index);
    const { match, seed } = flags;
    if (flags.rank) {
      const result = await rankSamples(model, index, {
        ...{ samples: flags.samples, matchTokens: match, top: flags.top, seed, signal, onProgress },
        references: await references(flags, signal),
      });
      line.done();
      if (flags.json) printJson(result);
      else print(rankingReport(result));
      return;
    }
    const result = await measureExtractable(model, index, {
      ...{ promptTokens: flags.prompts, targetTokens: match, passages: flags.passages, seed, signal, onProgress },
    });
    line.done();
    if (flags.json) printJson(result);
    else print(extractionReport(result));
  }).finally(() => {
    line.done();
    index?.close();
  });
}

async function references({ small, medium, ...flags }: ExtractFlags, signal: AbortSignal) {
  const load = (model: string) => loadModel({ ...flags, model }, signal);
  return { ...(small && { small: await load(small) }), ...(medium && { medium: await load(medium) }) };
}

function extractionReport({ targetTokens, passages, rates, byCount }: ExtractionReport): string {
  const interval = ([low, high]: readonly [number, number]) => `${formatPercent(low)} to ${formatPercent(high)}`;
  const row = (r: ExtractionReport["rates"][number], name: string) =>
    [
      name,
      String(r.promptTokens),
      String(r.passages),
      String(r.extractable),
      formatPercent(r.rate),
      interval(r.interval),
    ] as const;
  const counts = (r: ExtractionReport["rates"][number]) =>
    r.minCount === r.maxCount
      ? `${r.minCount}`
      : r.maxCount === Number.POSITIVE_INFINITY
        ? `${r.minCount} or more`
        : `${r.minCount} to ${r.maxCount}`;
  const head = ["in the corpus", "prompt", "passages", "extractable", "rate", "95% interval"];
  return [
    `${plural(passages, "passage")} of ${plural(targetTokens, "token")}\n\n`,
    formatTable(head, [...rates.map((r) => row(r, "any")), ...byCount.map((r) => row(r, counts(r)))]),
  ].join("");
}

function rankingReport({ samples, memorized, matchTokens, rankings }: SampleRankings): string {
  const rows = Object.entries(rankings).map(([name, { top, memorized: found }]) => {
    return [RANKINGS[name as Ranking], `${found} of ${top}`];
  });
  const longest = samples.reduce((most, { longestRun }) => Math.max(most, longestRun), 0);
  const all = `${plural(samples.length, "text")}; ${memorized} with at least ${plural(matchTokens, "token")} in a row from the corpus; the longest run has ${plural(longest, "token")}\n\n`;
  return all + formatTable(["first by", "memorized"], rows);
}
