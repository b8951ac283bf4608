/**
 * Measures what the default model's release says of it, and writes it down: what it reproduces of its training text into
 * docs/trace.md, bias and detection into docs/misuse.md, all of it, with LAMBADA and
 * watermarks, into models/default/CARD.md.
 *
 *     node dist/scripts/release-figures.js --train train-*.txt.gz --human valid.txt.gz --pairs DIR --eval DIR --work WORK
 *
 * Results are kept in WORK by the hash of the weights, and reused if they are there: what is interrupted goes on, and another
 * model is measured anew. `--only extract` makes one part: index, extract, rank, bias, detect, head, eval, watermark; the documents are
 * written once all are there.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { hashFiles } from "../src/evaluate/report-file.js";
import type { BiasReport } from "../src/misuse/bias/probe.js";
import type { ExtractableRate, ExtractionReport } from "../src/misuse/extract/extractable.js";
import { RANKINGS, type Ranking, type SampleRankings } from "../src/misuse/extract/rank-samples.js";
import { packageFile } from "../src/util/package-root.js";
import { detectionTables } from "./detection/tables.js";
import type { ClassifierRow, Figures } from "./evaluate-detectors.js";
import { markdownTable, replaceBlock } from "./markdown-block.js";

const { values } = parseArgs({
  options: {
    train: { type: "string", multiple: true },
    human: { type: "string" },
    pairs: { type: "string" },
    eval: { type: "string" },
    work: { type: "string" },
    only: { type: "string" },
  },
  allowPositionals: true,
});
const { train, human, pairs, work, only, eval: evalFolder } = values;
if (!train || !human || !pairs || !evalFolder || !work) {
  console.error(
    "usage: node dist/scripts/release-figures.js --train FILE [--train FILE …] --human FILE --pairs DIR --eval DIR --work DIR [--only PART]",
  );
  process.exit(2);
}
const model = packageFile("models/default");
const [weights, tokenizer] = await hashFiles(["model.safetensors", "tokenizer.json"].map((name) => join(model, name)));
const results = join(work, weights!.sha256.slice(0, 12));
mkdirSync(results, { recursive: true });
// An index is of these texts, cut by this tokenizer.
const indexed = [tokenizer!, ...(await hashFiles(train))].map(({ sha256 }) => sha256).join();
const index = join(work, `corpus-${createHash("sha256").update(indexed).digest("hex").slice(0, 12)}.index`);

const PASSAGES = "1000";
const SAMPLES = "300";
const MATCH = "20";
/** Of each kind, to measure detection. */
const TEXTS = "100";
/** Runs of tokens that are counted, and how many texts of each ranking. */
const RUNS = [6, 8, 10, 12];
const TOP = 50;

const parts: Readonly<Record<string, () => void>> = {
  index: () => {
    if (!existsSync(index)) gpt2("index", ...train, "--out", index);
  },
  extract: () => kept("extract.json", "extract", "--index", index, "--passages", PASSAGES, "--json"),
  rank: () =>
    kept("rank.json", "extract", "--index", index, "--rank", "--samples", SAMPLES, "--match", MATCH, "--json"),
  bias: () => kept("bias.json", "bias", "--json"),
  detect: () => script("evaluate-detectors.js", "detect.json"),
  head: () => script("evaluate-head.js", "head.json"),
  watermark: () => {
    const out = join(results, "watermark.json");
    if (existsSync(out)) return;
    // Ten thousand passages need more text than is held out.
    const texts = ["--human", human, "--human", train[0]!];
    run([packageFile("dist/scripts/watermark-figures.js"), ...texts, "--texts", TEXTS, "--out", `${out}.new`]);
    renameSync(`${out}.new`, out);
  },
  eval: () => {
    const out = join(results, "eval.json");
    if (!existsSync(out)) gpt2("eval", "lambada", "--data", evalFolder, "--json", out);
  },
};
for (const [name, make] of Object.entries(parts)) if (only === undefined || only === name) make();
const files = ["extract", "rank", "bias", "detect", "head", "eval", "watermark"].map((name) =>
  join(results, `${name}.json`),
);
if (files.every((file) => existsSync(file))) writeDocuments();

function writeDocuments(): void {
  const [extract, rank, bias, detect, head] = files.map((file) => JSON.parse(readFileSync(file, "utf8")) as unknown);
  replaceBlock("docs/trace.md", "extraction", extraction(extract as ExtractionReport, rank as SampleRankings));
  replaceBlock("docs/misuse.md", "bias", biasTable(bias as BiasReport));
  const tables = detectionTables(detect as Figures, head as ClassifierRow[]);
  replaceBlock("docs/misuse.md", "figures", `Weights ${weights!.sha256.slice(0, 12)}…; ${tables}`);
  const about = packageFile("scripts/default-model-about.json");
  gpt2(
    "card",
    "--results",
    ...files.filter((file) => !file.endsWith("head.json")),
    "--about",
    about,
    "--out",
    join(model, "CARD.md"),
  );
}

function gpt2(...args: string[]): string {
  return run([packageFile("dist/src/cli/main.js"), ...args]);
}

function run(args: readonly string[]): string {
  console.log(`$ node ${args.join(" ")}`);
  const { status, stdout } = spawnSync(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) process.exit(status ?? 1);
  return stdout;
}

/** Another script's figures of detection. */
function script(name: string, file: string): void {
  const out = join(results, file);
  if (existsSync(out)) return;
  const args = ["--pairs", pairs!, "--human", human!, "--work", results, "--texts", TEXTS, "--out", out];
  run([packageFile(join("dist/scripts", name)), ...args]);
}

/** The JSON of a command, written whole or not at all. */
function kept(file: string, ...args: string[]): void {
  const path = join(results, file);
  if (existsSync(path)) return;
  const json = gpt2(...args);
  writeFileSync(`${path}.new`, json);
  renameSync(`${path}.new`, path);
}

function extraction({ rates, byCount, targetTokens }: ExtractionReport, ranked: SampleRankings): string {
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
  const rows = [...rates.map((rate) => row(rate, "any number of")), ...byCount.map((rate) => row(rate, counts(rate)))];
  const longest = ranked.samples.reduce((most, { longestRun }) => Math.max(most, longestRun), 0);
  const withRun = (texts: typeof ranked.samples, tokens: number) =>
    texts.filter((text) => text.longestRun >= tokens).length;
  const first = (Object.keys(ranked.rankings) as Ranking[]).map((name) => {
    const sorted = [...ranked.samples].sort((a, b) => b.scores[name]! - a.scores[name]!).slice(0, TOP);
    return [RANKINGS[name], ...RUNS.map((tokens) => String(withRun(sorted, tokens)))];
  });
  const all = ["all texts", ...RUNS.map((tokens) => `${withRun(ranked.samples, tokens)} of ${ranked.samples.length}`)];
  return [
    `Weights ${weights!.sha256.slice(0, 12)}…; passages of ${targetTokens} tokens of its training text (\`gpt2 extract --passages ${PASSAGES}\`):`,
    markdownTable(["in the corpus, times", "prompt, tokens", "extractable", "rate", "95% interval"], rows),
    `${ranked.samples.length} texts of up to 256 tokens without a prompt (\`gpt2 extract --rank --samples ${SAMPLES} --match ${MATCH}\`): ${ranked.memorized} have ${MATCH} tokens in a row from the training text; the longest run has ${longest}. Texts with shorter runs, among all and among the first ${TOP} of each ranking:`,
    markdownTable(["", ...RUNS.map((tokens) => `${tokens} tokens in a row`)], [all, ...first]),
  ].join("\n\n");
}

function biasTable({ probes }: BiasReport): string {
  const nats = (x: number): string => `${x >= 0 ? "+" : ""}${x.toFixed(3)}`;
  const rows = probes.map(({ positive, difference: { value, interval }, items }) => [
    positive,
    nats(value),
    `${nats(interval.low)} to ${nats(interval.high)}`,
    [...items.slice(0, 2), ...items.slice(-2)].map(({ item, difference }) => `${item} ${nats(difference)}`).join(", "),
  ]);
  const table = markdownTable(["positive if", "difference", "95% interval", "the ends"], rows);
  return `Weights ${weights!.sha256.slice(0, 12)}…:\n\n${table}`;
}

function percent(share: number): string {
  const value = 100 * share;
  return `${value === 0 || value >= 1 ? value.toFixed(1) : value.toPrecision(2)}%`;
}
