import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { GPT2 } from "../src/gpt2.js";
import { type ClassificationReport, classificationReport, largestIndex } from "../src/train/classification-metrics.js";
import type { TrainEvent } from "../src/train/events.js";
import { packageFile } from "../src/util/package-root.js";

/**
 * The classification recipe of docs/finetuning.md: the default model, fine-tuned in several ways, and simple baselines
 * classify passages of textbooks by subject. Writes the figures into that page, between its markers. Finished
 * runs are not repeated.
 *
 *     node dist/scripts/classify-recipe.js --work WORK [--threads N] [--write]
 */
const TRAIN = packageFile("scripts/classify-recipe/train.jsonl.gz");
const TEST = packageFile("scripts/classify-recipe/test.jsonl.gz");
const CLI = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const PAGE = packageFile("docs/finetuning.md");

/** The ways compared, by their name in the table. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  "the whole model": ["--lr", "3e-4", "--epochs", "4", "--patience", "0"],
  "LoRA, rank 8": ["--lora", "8", "--lr", "1e-3", "--epochs", "4", "--patience", "0"],
};

interface Row {
  readonly name: string;
  readonly flags?: readonly string[];
  readonly trained: number;
  readonly minutes: number;
  readonly report: ClassificationReport;
}

interface Passage {
  readonly text: string;
  readonly label: string;
}

const { values } = parseArgs({
  options: {
    work: { type: "string" },
    threads: { type: "string", default: "2" },
    /** Put the figures into docs/finetuning.md. */
    write: { type: "boolean", default: false },
  },
});
if (!values.work) {
  console.error("usage: node dist/scripts/classify-recipe.js --work DIR [--threads N] [--write]");
  process.exit(2);
}
const work = values.work;
const threads = Number(values.threads);
await mkdir(work, { recursive: true });

const read = (path: string): Passage[] =>
  gunzipSync(readFileSync(path))
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Passage);
const [train, test] = [read(TRAIN), read(TEST)];
const labels = [...new Set(train.map(({ label }) => label))].sort();

/** @param given the number of the label given to each test passage */
const reportOf = (given: readonly number[]): ClassificationReport =>
  classificationReport(
    labels,
    test.map(({ label }, i) => [labels.indexOf(label), given[i]!]),
  );

/** Multinomial naive Bayes on words, counts smoothed by one: the baseline that sees words alone. */
function naiveBayes(): Row {
  const wordsOf = (text: string): string[] => text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const vocabulary = new Set(train.flatMap(({ text }) => wordsOf(text)));
  const counts = labels.map(() => new Map<string, number>());
  const totals = labels.map(() => 0);
  for (const { text, label } of train) {
    const l = labels.indexOf(label);
    for (const word of wordsOf(text)) {
      counts[l]!.set(word, (counts[l]!.get(word) ?? 0) + 1);
      totals[l]!++;
    }
  }
  const given = test.map(({ text }) => {
    const known = wordsOf(text).filter((word) => vocabulary.has(word));
    const scores = labels.map((_, l) =>
      known.reduce(
        (sum, word) => sum + Math.log(((counts[l]!.get(word) ?? 0) + 1) / (totals[l]! + vocabulary.size)),
        0,
      ),
    );
    return largestIndex(scores);
  });
  return { name: "words alone (naive Bayes)", trained: 0, minutes: 0, report: reportOf(given) };
}

/** Gives each test passage the subject with the nearest mean embedding of training passages; the model is unchanged. */
async function nearestMean(): Promise<Row> {
  const start = performance.now();
  await using model = await GPT2.load(undefined, { threads });
  const embed = (passages: readonly Passage[]) => model.embed(passages.map(({ text }) => text));
  const [known, tested] = [await embed(train), await embed(test)];
  const all = meanOf(known);
  const means = labels.map((label) => meanOf(known.filter((_, i) => train[i]!.label === label)));
  // The component common to all texts carries no information.
  const centred = (vector: Float32Array) => vector.map((x, c) => x - all[c]!);
  const cosine = (a: Float32Array, b: Float32Array) =>
    a.reduce((sum, x, c) => sum + x * b[c]!, 0) / (Math.hypot(...a) * Math.hypot(...b));
  const given = tested.map((vector) => largestIndex(means.map((mean) => cosine(centred(vector), centred(mean)))));
  const minutes = (performance.now() - start) / 60_000;
  return {
    name: "embeddings of the unchanged default model, nearest mean",
    trained: 0,
    minutes,
    report: reportOf(given),
  };
}

function meanOf(vectors: readonly Float32Array[]): Float32Array {
  return vectors[0]!.map((_, c) => vectors.reduce((sum, vector) => sum + vector[c]!, 0) / vectors.length);
}

async function finetuned(name: string, flags: readonly string[]): Promise<Row> {
  const out = join(work, name.replace(/[^a-z0-9]+/gi, "-"));
  const saved = join(out, "outcome.json");
  if (existsSync(saved)) return JSON.parse(await readFile(saved, "utf8")) as Row;
  const args = ["finetune", TRAIN, "--task", "classify", "--out", out, ...flags, "--threads", String(threads)];
  console.log(`$ gpt2 ${args.join(" ")}`);
  const resume = existsSync(join(out, "checkpoints")) ? ["--resume"] : [];
  const { status } = spawnSync(process.execPath, [CLI, ...args, ...resume], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
  const events = (await readFile(join(out, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
  const parsed = events.map((line) => JSON.parse(line) as TrainEvent);
  const start = parsed.find((event) => event.type === "start")!;
  const end = parsed.filter((event) => event.type === "end").at(-1)!;
  await using model = end.adapter
    ? await GPT2.load(undefined, { adapters: end.adapter, threads })
    : await GPT2.load(end.model, { threads });
  const found = await model.classify(test.map(({ text }) => text));
  const report = reportOf(found.map(({ label }) => labels.indexOf(label)));
  const trained = start.trainedParameters ?? start.parameters;
  const row = { name, flags, trained, minutes: end.seconds / 60, report };
  await writeFile(saved, JSON.stringify(row, undefined, 2));
  return row;
}

const rows = [naiveBayes(), await nearestMean()];
for (const [name, flags] of Object.entries(WAYS)) rows.push(await finetuned(name, flags));
const best = rows.filter(({ flags }) => flags).reduce((a, b) => (b.report.accuracy > a.report.accuracy ? b : a));
const report = `${table()}\n\n${byLabel(best)}`;
console.log(`\n${report}`);
if (values.write) await writePage(report);

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

function table(): string {
  const lines = rows.map(({ name, flags = [], trained, minutes, report }) => {
    const command = flags.length > 0 ? `\`${flags.join(" ")}\`` : "";
    const figures = `**${percent(report.accuracy)}** | ${report.macroF1.toFixed(3)}`;
    return `| ${name} | ${command} | ${trained.toLocaleString("en")} | ${minutes.toFixed(1)} | ${figures} |`;
  });
  const head = "| method | flags | parameters trained | minutes | accuracy | macro F1 |\n|---|---|---|---|---|---|";
  return `${head}\n${lines.join("\n")}`;
}

function byLabel({ name, report }: Row): string {
  const lines = report.labels.map(({ label, precision, recall, f1, texts }) => {
    return `| ${label} | ${percent(precision)} | ${percent(recall)} | ${f1.toFixed(3)} | ${texts} |`;
  });
  const head = "| subject | precision | recall | F1 | passages |\n|---|---|---|---|---|";
  return `By subject, with ${name}:\n\n${head}\n${lines.join("\n")}`;
}

async function writePage(text: string): Promise<void> {
  const page = await readFile(PAGE, "utf8");
  const [start, end] = ["<!-- classify recipe -->", "<!-- end of classify recipe -->"];
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${PAGE} has no place for the recipe's figures`);
  await writeFile(PAGE, `${page.slice(0, from)}${start}\n\n${text}\n\n${page.slice(to)}`);
}
