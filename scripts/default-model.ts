import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import type { ModelConfig } from "../src/architectures/config.js";
import { parameterCount } from "../src/architectures/registry.js";
import { readDatasetInfo } from "../src/data/dataset-info.js";
import { TEMPLATE_FILE, TEMPLATES } from "../src/data/examples/template.js";
import { saveCheckpoint } from "../src/pretrained/node.js";
import { loadTokenizer } from "../src/tokenizer/files.js";
import type { TrainEvent } from "../src/train/events.js";
import { packageFile } from "../src/util/package-root.js";
import { curveSvg } from "./curve-svg.js";
import { publishOverlap } from "./measure-overlap.js";
import { modelCard, type StoryQuality, stageOf } from "./model-card.js";
import { mixture, type readModel } from "./model-mixture.js";
import { writePlainText } from "./plain-text.js";
import { heldOutStories, STORY_FILES, writeStoryText } from "./story-text.js";

/**
 * Makes the model that comes with the package, from texts to models/default: tokenizer, token shards, training on books
 * and textbooks, on their plain part, on stories beside both, and finally on modern stories alone; then the weights in
 * f16, the loss curves, measurements, samples, and the model card. Each part is skipped if its result exists, so an
 * interrupted run resumes where it stopped.
 *
 *     node dist/scripts/default-model.js --corpus CORPUS --stories STORIES --work WORK [--eval EVAL]
 *
 * CORPUS holds train-*.txt.gz, valid.txt.gz, manifest.tsv.gz and SOURCES.md, as models/default/SOURCES.md describes them;
 * STORIES the files that models/default/SOURCES-stories.md describes.
 */
const SHAPE = ["--layers", "6", "--embd", "256", "--heads", "4", "--context", "512"];
const BATCH = ["--batch-size", "16", "--batch-tokens", "8192"];
const INTERVALS = ["--val-every", "200", "--val-batches", "0", "--save-every", "100", "--keep", "2"];
const RECIPE = [...BATCH, "--warmup", "150", "--lr", "2e-3", "--min-lr", "1e-4", "--seed", "1", ...INTERVALS];
/** A complete schedule, and its warm continuation under the cosine of a longer one. */
const STEPS = ["3000", "6400"] as const;
/** The plain part, not quite one epoch. */
const PLAIN_RECIPE = [...BATCH, "--warmup", "50", "--lr", "1e-3", "--min-lr", "3e-5", "--seed", "2", ...INTERVALS];
const PLAIN_STEPS = ["1600"] as const;
const MUON = [
  "--batch-size",
  "16",
  "--batch-tokens",
  "8192",
  "--isolate",
  "--optimizer",
  "muon",
  "--precision",
  "bf16",
];
/** Stories, simple and plain texts, from the mean of both runs, at a constant rate: more steps can follow. */
const STORY_RECIPE = [
  ...[...MUON, "--lr", "2.5e-3", "--schedule", "trapezoid", "--warmup", "40", "--warmdown", "0", "--seed", "3"],
  ...["--val-every", "250", "--val-batches", "8", "--save-every", "50", "--keep", "4"],
];
const STORY_STEPS = ["1500"] as const;
/** Modern stories alone, while the rate falls to zero: what a model reads last shapes most how it writes. */
const FINISH_RECIPE = [
  ...[...MUON, "--lr", "2.5e-3", "--schedule", "linear", "--warmup", "20", "--seed", "4"],
  ...["--val-every", "200", "--val-batches", "8", "--save-every", "50", "--keep", "4"],
];
const FINISH_STEPS = ["800"] as const;
/**
 * Share of the weights before the stories in the released ones. In bits per byte, it costs stories 0.009 and improves
 * other prose by 0.027; twice the share costs stories 0.044.
 */
const BOOKS_SHARE = 0.1;
const VOCAB_SIZE = "8192";
/**
 * Its default sampling. Excluding unlikely tokens keeps a small model from making up words, but makes it
 * repeat itself, which the penalty counteracts.
 */
const SAMPLING = { temperature: 0.8, minP: 0.15, repetitionPenalty: 1.1 };

const { values } = parseArgs({
  options: {
    corpus: { type: "string" },
    stories: { type: "string" },
    work: { type: "string" },
    out: { type: "string" },
    /** Evaluation sets whose overlap with the training text the card reports; without them its figures are kept. */
    eval: { type: "string" },
    /** A sentence for the card that says how this run differed from the recipe. */
    note: { type: "string", default: "" },
    /** A sentence for the card, on how the texts of stories.md read. */
    reading: { type: "string", default: "" },
  },
});
const { corpus, stories, work } = values;
if (!corpus || !stories || !work) {
  console.error(
    "usage: node dist/scripts/default-model.js --corpus DIR --stories DIR --work DIR [--eval DIR] [--out models/default]",
  );
  process.exit(2);
}
const out = values.out ?? packageFile("models/default");
const tokenizer = join(work, "tokenizer");
const all = { data: join(work, "data"), run: join(work, "run"), steps: STEPS };
const plain = { data: join(work, "plain"), run: join(work, "plain-run"), steps: PLAIN_STEPS };
const story = { data: join(work, "story-data"), run: join(work, "stories-run"), steps: STORY_STEPS };
const finish = { data: join(work, "finish-data"), run: join(work, "finish-run"), steps: FINISH_STEPS };
/** The mean of the first two runs' weights, from which the stories start. */
const books = join(work, "books");
const corpusFiles = ["00", "01", "02"].map((n) => `train-${n}.txt.gz`);
const trainFiles = corpusFiles.map((name) => join(corpus, name));
const validFile = join(corpus, "valid.txt.gz");

function gpt2(...args: string[]): void {
  console.log(`$ gpt2 ${args.join(" ")}`);
  const { status } = spawnSync(process.execPath, [packageFile("dist/src/cli/main.js"), ...args], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

await mkdir(work, { recursive: true });
if (!existsSync(tokenizer)) gpt2("tokenizer", "train", ...trainFiles, "--vocab-size", VOCAB_SIZE, "--out", tokenizer);
makeData(all.data, trainFiles);
await train(all, ...SHAPE, ...RECIPE);
if (!existsSync(plain.data)) {
  const text = join(work, "plain.txt");
  await writePlainText(corpus, corpusFiles, text);
  makeData(plain.data, [text]);
}
await train(plain, "--from", join(all.run, "model"), ...PLAIN_RECIPE);
if (!existsSync(books)) await saveMean();
if (!existsSync(story.data) || !existsSync(finish.data)) {
  const { all: texts, modern } = await writeStoryText(stories, corpus, work);
  makeData(story.data, texts, heldOutStories(stories));
  makeData(finish.data, modern, heldOutStories(stories).slice(0, 1));
}
await train(story, "--from", books, ...STORY_RECIPE);
await train(finish, "--from", join(story.run, "model"), ...FINISH_RECIPE);
await publish();

function makeData(out: string, files: readonly string[], held: readonly string[] = [validFile]): void {
  if (existsSync(out)) return;
  gpt2("data", ...files, "--val", ...held, "--tokenizer", join(tokenizer, "tokenizer.json"), "--out", out);
}

interface Stage {
  readonly data: string;
  readonly run: string;
  readonly steps: readonly string[];
}

async function train({ data, run, steps }: Stage, ...recipe: string[]): Promise<void> {
  for (const end of steps) {
    const done = (await eventsOf(run)).reduce((last, e) => (e.type === "step" ? Math.max(last, e.step) : last), 0);
    const how = existsSync(join(run, "checkpoints")) ? ["--resume"] : [data, ...recipe];
    if (done < Number(end)) gpt2("train", "--out", run, ...how, "--steps", end);
  }
}

async function eventsOf(run: string): Promise<TrainEvent[]> {
  const file = join(run, "metrics.jsonl");
  if (!existsSync(file)) return [];
  const lines = (await readFile(file, "utf8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line) as TrainEvent);
}

/**
 * The mean of the first two runs' weights (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"): on the held-out
 * books better than either.
 */
async function saveMean(): Promise<void> {
  const { config, tensors } = await mixture(join(all.run, "model"), join(plain.run, "model"), 0.5);
  await saveModel(books, config, tensors);
}

async function saveModel(folder: string, config: ModelConfig, tensors: Weights): Promise<void> {
  const { startOfText, endOfText } = await loadTokenizer(tokenizer);
  const tokens = { bosTokenId: startOfText, eosTokenIds: [endOfText!] };
  await saveCheckpoint(folder, { config, tensors, sampling: SAMPLING, ...tokens }, { dtype: "f16" });
  await cp(join(tokenizer, "tokenizer.json"), join(folder, "tokenizer.json"));
}

/** Makes the released files from the finished runs. */
async function publish(): Promise<void> {
  const { config, tensors } = await mixture(join(finish.run, "model"), books, BOOKS_SHARE);
  await saveModel(out, config, tensors);
  await cp(join(corpus!, "SOURCES.md"), join(out, "SOURCES.md"));
  await cp(join(stories!, "SOURCES.md"), join(out, "SOURCES-stories.md"));
  const events = [
    await eventsOf(all.run),
    await eventsOf(plain.run),
    await eventsOf(story.run),
    await eventsOf(finish.run),
  ] as const;
  await writeFile(join(out, "loss.svg"), curveSvg(oneAfterAnother(events.slice(0, 2))));
  await writeFile(join(out, "loss-stories.svg"), curveSvg(oneAfterAnother(events.slice(2))));
  await writeFile(join(out, TEMPLATE_FILE), `${JSON.stringify(TEMPLATES.story, null, 2)}\n`);

  const measured = { before: await measure(books), after: await measure(out) };
  await cp(join(work!, "quality", basename(out), "stories.md"), join(out, "stories.md"));
  const bytes = (await stat(join(out, "model.safetensors"))).size;
  await writeFile(
    join(out, "README.md"),
    modelCard({
      config,
      parameters: parameterCount(config),
      bytes,
      stages: [all, plain, story, finish].map(({ data }, i) => stageOf(readDatasetInfo(data)!, events[i]!)),
      sampling: SAMPLING,
      measured,
      shape: SHAPE,
      recipes: [RECIPE, PLAIN_RECIPE, STORY_RECIPE, FINISH_RECIPE],
      steps: [STEPS, PLAIN_STEPS, STORY_STEPS, FINISH_STEPS],
      note: values.note,
      reading: values.reading,
    }),
  );
  const trainFilesOfAll = [...trainFiles, ...STORY_FILES.map((name) => join(stories!, name))];
  await publishOverlap({ out, trainFiles: trainFilesOfAll, validFile, work: work!, evalFolder: values.eval });
  const set = "held-out books (passages of documents that were not in the training text)";
  gpt2("detect", "--calibrate", validFile, "--set", set, "--model", out, "--out", join(out, "detection.json"));
  console.log(`${out}: ${measured.after.bitsPerByte["valid-stories"]!.toFixed(4)} bits per byte on held-out stories`);
}

/** The measurements of scripts/story-quality.ts. */
async function measure(model: string): Promise<StoryQuality> {
  const folder = join(work!, "quality", basename(model));
  const file = join(folder, "quality.json");
  if (!existsSync(file)) {
    const args = ["--stories", stories!, "--corpus", corpus!, "--out", folder, "--model", model, "--test"];
    const script = packageFile("dist/scripts/story-quality.js");
    const { status } = spawnSync(process.execPath, [script, ...args], { stdio: "inherit" });
    if (status !== 0) process.exit(status ?? 1);
  }
  return JSON.parse(await readFile(file, "utf8")) as StoryQuality;
}

type Weights = Awaited<ReturnType<typeof readModel>>["tensors"];

/** Events of several runs, joined as if they were one run. */
function oneAfterAnother(runs: readonly (readonly TrainEvent[])[]): TrainEvent[] {
  let before = 0;
  return runs.flatMap((events) => {
    const shifted = events.map((e) => ("step" in e ? { ...e, step: e.step + before } : e));
    before += events.reduce((last, e) => (e.type === "step" ? Math.max(last, e.step) : last), 0);
    return shifted;
  });
}
