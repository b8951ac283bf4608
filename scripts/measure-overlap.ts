import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { folderSource } from "../src/evaluate/data/node-sources.js";
import { buildNgramFilter } from "../src/evaluate/overlap/build-filter.js";
import { fileOverlap } from "../src/evaluate/overlap/file-overlap.js";
import { loadNgramFilter, saveNgramFilter } from "../src/evaluate/overlap/filter-file.js";
import { describeFilter, type NgramFilter } from "../src/evaluate/overlap/ngram-filter.js";
import { measureOverlap, summarizeOverlap } from "../src/evaluate/overlap/overlap.js";
import { evaluationOverlap, sampleTexts, splitMetrics } from "../src/evaluate/overlap/task-overlap.js";
import { TASKS } from "../src/evaluate/registry.js";
import { type HashedFile, hashFiles } from "../src/evaluate/report-file.js";
import { prepareTask, runTask } from "../src/evaluate/run.js";
import { parseTaskSpec } from "../src/evaluate/task.js";
import { GPT2 } from "../src/gpt2.js";
import { packageVersion } from "../src/util/package-version.js";
import { type MeasuredSet, type ModelOverlap, type OverlapFacts, withOverlap } from "./overlap-card.js";

/** The sets that are looked up, by task, and their names in the card. */
const SETS: Readonly<Record<string, string>> = {
  lambada: "LAMBADA",
  "wikitext-2": "WikiText-2, test",
  "wikitext-103": "WikiText-103, test",
  ptb: "Penn Treebank, test",
  "enwik8:opening": "enwik8, its first 100,001 bytes",
  winograd: "Winograd schemas",
  nq: "Natural Questions",
  "wmt14-en-fr": "WMT-14, both languages",
  hellaswag: "HellaSwag, right endings",
  blimp: "BLiMP, right sentences",
};
/** Whether it is also evaluated, for its metrics without the items that overlap. */
const EVALUATED = "lambada";
const METRICS = ["accuracy", "perplexity", "perplexity per token"];

const SAMPLES = 200;
const SAMPLING = { maxNewTokens: 256, seed: 1 };

export interface PublishOverlapOptions {
  /** The model's folder: overlap.json and the card's section are written there. */
  readonly out: string;
  /** The files that the model was trained on. */
  readonly trainFiles: readonly string[];
  readonly validFile: string;
  /** Folder where the filter is kept, by the hash of its text; reused if it is there. */
  readonly work: string;
  /** Folder of evaluation sets. Without it, the figures in an overlap.json for the same training text are kept. */
  readonly evalFolder?: string | undefined;
  readonly workers?: number | undefined;
}

/**
 * Measures how much of evaluations, held-out books and the model's own output is in the training text, and writes
 * the figures into the model's folder. Earlier figures that do not depend on the weights are kept if the text is the same;
 * the others are always remeasured.
 */
export async function publishOverlap(options: PublishOverlapOptions): Promise<OverlapFacts> {
  const { out, trainFiles, evalFolder } = options;
  const path = join(out, "overlap.json");
  const before = existsSync(path) ? (JSON.parse(await readFile(path, "utf8")) as OverlapFacts) : undefined;
  const files = await hashFiles(trainFiles);
  const filter = await trainingFilter(options, files);
  const [tokenizer, weights] = await hashFiles(["tokenizer.json", "model.safetensors"].map((name) => join(out, name)));
  const model = await GPT2.load(out, { threads: options.workers });
  const fits = before && sameFiles(before.training.files, files) && before.tokenizer === tokenizer!.sha256;
  if (!fits && evalFolder === undefined) console.log("overlap: no evaluation sets given, and none kept of this text");
  const sets = fits
    ? before.sets
    : [await heldOut(options.validFile, filter), ...(await measureSets(evalFolder, model, filter))];
  const facts: OverlapFacts = {
    program: `gpt2-ts ${packageVersion()}`,
    training: { files, ...describeFilter(filter) },
    tokenizer: tokenizer!.sha256,
    sets,
    model: await modelOverlap(model, weights!.sha256, filter, evalFolder),
  };
  await model.dispose();
  await writeFile(path, `${JSON.stringify(facts, null, 2)}\n`);
  const card = join(out, "README.md");
  await writeFile(card, withOverlap(await readFile(card, "utf8"), facts));
  return facts;
}

async function trainingFilter(
  { trainFiles, work, workers }: PublishOverlapOptions,
  files: readonly HashedFile[],
): Promise<NgramFilter> {
  const hash = createHash("sha256").update(files.map(({ sha256 }) => sha256).join());
  const path = join(work, `train-${hash.digest("hex").slice(0, 12)}.bloom`);
  if (existsSync(path)) return loadNgramFilter(path);
  console.log(`overlap: 8-grams of ${trainFiles.map((file) => basename(file)).join(" ")} to ${path}`);
  const filter = await buildNgramFilter(trainFiles, { workers });
  await saveNgramFilter(path, filter);
  return filter;
}

async function heldOut(file: string, filter: NgramFilter): Promise<MeasuredSet> {
  return { name: basename(file), title: "Held-out books", ...summarizeOverlap(await fileOverlap([file], filter)) };
}

async function measureSets(folder: string | undefined, model: GPT2, filter: NgramFilter): Promise<MeasuredSet[]> {
  const sets: MeasuredSet[] = [];
  for (const [name, title] of folder === undefined ? [] : Object.entries(SETS)) {
    console.log(`overlap: ${name}`);
    const evaluation = await prepareTask(model, parseTaskSpec(name, TASKS), folderSource(folder!));
    sets.push({ name, title, ...summarizeOverlap(await evaluationOverlap(evaluation, filter)) });
  }
  return sets;
}

async function modelOverlap(
  model: GPT2,
  weights: string,
  filter: NgramFilter,
  evalFolder: string | undefined,
): Promise<ModelOverlap> {
  console.log(`overlap: ${SAMPLES} samples`);
  const texts = await sampleTexts(model, { samples: SAMPLES, ...SAMPLING });
  const overlaps = texts.map((text) => measureOverlap(filter, [text]));
  const longest = overlaps
    .map((item) => item.longest)
    .reduce((best, passage) => ((passage?.words ?? 0) > (best?.words ?? 0) ? passage : best), undefined);
  const samples = { ...summarizeOverlap(overlaps), longest };
  const metrics = evalFolder === undefined ? [] : await splitEvaluation(model, filter, evalFolder);
  return { weights, samples, sampling: SAMPLING, metrics };
}

async function splitEvaluation(model: GPT2, filter: NgramFilter, folder: string): Promise<ModelOverlap["metrics"]> {
  console.log(`overlap: evaluating ${EVALUATED}`);
  const [spec, source] = [parseTaskSpec(EVALUATED, TASKS), folderSource(folder)];
  const evaluation = await prepareTask(model, spec, source);
  const { outcomes } = await runTask(model, spec, { source });
  const split = splitMetrics(evaluation, outcomes, await evaluationOverlap(evaluation, filter));
  return split.filter(({ name }) => METRICS.includes(name)).map((metric) => ({ task: EVALUATED, ...metric }));
}

const sameFiles = (a: readonly HashedFile[], b: readonly HashedFile[]): boolean =>
  a.length === b.length && a.every(({ sha256 }, i) => sha256 === b[i]!.sha256);
