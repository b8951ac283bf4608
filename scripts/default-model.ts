import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parameterCount } from "../src/architectures/registry.js";
import { numel } from "../src/architectures/tensor-spec.js";
import { TokenDataset } from "../src/data/dataset.js";
import { readDatasetInfo } from "../src/data/dataset-info.js";
import { GPT2 } from "../src/gpt2.js";
import { openCheckpoint, saveCheckpoint } from "../src/pretrained/node.js";
import { loadTokenizer } from "../src/tokenizer/files.js";
import type { TrainEvent } from "../src/train/events.js";
import { packageFile } from "../src/util/package-root.js";
import { curveSvg } from "./curve-svg.js";
import { publishOverlap } from "./measure-overlap.js";
import { modelCard } from "./model-card.js";
import { writePlainText } from "./plain-text.js";

/**
 * Makes the model that comes with the package, from the corpus to models/default: tokenizer, token shards, training on
 * everything, then on its plain part, and from that the weights in f16, the loss curve, ten samples and the model card.
 * Each part is skipped when its result is there, so that a broken-off run goes on where it was.
 *
 *     node dist/scripts/default-model.js --corpus CORPUS --work WORK [--eval EVAL]
 *
 * CORPUS holds train-*.txt.gz, valid.txt.gz, manifest.tsv.gz and SOURCES.md, as models/default/SOURCES.md describes them.
 */
const SHAPE = ["--layers", "6", "--embd", "256", "--heads", "4", "--context", "512"];
const BATCH = ["--batch-size", "16", "--batch-tokens", "8192"];
const INTERVALS = ["--val-every", "200", "--val-batches", "0", "--save-every", "100", "--keep", "2"];
const RECIPE = [...BATCH, "--warmup", "150", "--lr", "2e-3", "--min-lr", "1e-4", "--seed", "1", ...INTERVALS];
/** A whole schedule, and its warm continuation under the cosine of the longer one. */
const STEPS = ["3000", "6400"] as const;
/** The plain part, not quite once through. */
const PLAIN_RECIPE = [...BATCH, "--warmup", "50", "--lr", "1e-3", "--min-lr", "3e-5", "--seed", "2", ...INTERVALS];
const PLAIN_STEPS = ["1600"] as const;
const VOCAB_SIZE = "8192";
/**
 * Its default sampling. Leaving out unlikely tokens keeps a small model from making up words, and has it
 * repeat itself, which the penalty is against.
 */
const SAMPLING = { temperature: 0.8, minP: 0.15, repetitionPenalty: 1.15 };

const { values } = parseArgs({
  options: {
    corpus: { type: "string" },
    work: { type: "string" },
    out: { type: "string" },
    /** Evaluation sets whose overlap with the training text the card tells; without them what it has is kept. */
    eval: { type: "string" },
    /** A sentence for the card, on how this run differed from the recipe. */
    note: { type: "string", default: "" },
  },
});
const { corpus, work } = values;
if (!corpus || !work) {
  console.error(
    "usage: node dist/scripts/default-model.js --corpus DIR --work DIR [--eval DIR] [--out models/default]",
  );
  process.exit(2);
}
const out = values.out ?? packageFile("models/default");
const tokenizer = join(work, "tokenizer");
const all = { data: join(work, "data"), run: join(work, "run"), steps: STEPS };
const plain = { data: join(work, "plain"), run: join(work, "plain-run"), steps: PLAIN_STEPS };
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
await publish();

function makeData(out: string, files: readonly string[]): void {
  if (existsSync(out)) return;
  gpt2("data", ...files, "--val", validFile, "--tokenizer", join(tokenizer, "tokenizer.json"), "--out", out);
}

async function train({ data, run, steps }: typeof all | typeof plain, ...recipe: string[]): Promise<void> {
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
 * From the finished runs to the files that ship. The weights are the mean of both runs' (Wortsman et al. 2022, "Robust
 * fine-tuning of zero-shot models"): on the held-out books better than either.
 */
async function publish(): Promise<void> {
  const [{ config, tensors }, other] = [await readModel(all.run), await readModel(plain.run)];
  for (const [i, { data }] of tensors.entries()) {
    const second = other.tensors[i]!.data;
    for (let j = 0; j < data.length; j++) data[j] = (data[j]! + second[j]!) / 2;
  }
  const { startOfText, endOfText } = await loadTokenizer(tokenizer);
  const tokens = { bosTokenId: startOfText, eosTokenIds: [endOfText!] };
  await saveCheckpoint(out, { config, tensors, sampling: SAMPLING, ...tokens }, { dtype: "f16" });
  await cp(join(tokenizer, "tokenizer.json"), join(out, "tokenizer.json"));
  await cp(join(corpus!, "SOURCES.md"), join(out, "SOURCES.md"));

  const events = [await eventsOf(all.run), await eventsOf(plain.run)];
  await writeFile(join(out, "loss.svg"), curveSvg(oneAfterAnother(events)));

  const model = await GPT2.load(out);
  const samples: string[] = [];
  for (let seed = 1; seed <= 10; seed++)
    samples.push((await model.complete("", { seed, maxNewTokens: 150 })).text.trim());
  const validation = await bitsPerByte(model);
  await model.dispose();
  const bytes = (await stat(join(out, "model.safetensors"))).size;
  const info = readDatasetInfo(all.data)!;
  await writeFile(
    join(out, "README.md"),
    modelCard({
      config,
      parameters: parameterCount(config),
      bytes,
      info,
      plain: readDatasetInfo(plain.data)!,
      events,
      samples,
      sampling: SAMPLING,
      validation,
      shape: SHAPE,
      recipes: [RECIPE, PLAIN_RECIPE],
      steps: [STEPS, PLAIN_STEPS],
      note: values.note,
    }),
  );
  await publishOverlap({ out, trainFiles, validFile, work: work!, evalFolder: values.eval });
  const set = "held-out books (passages of documents that were not in the training text)";
  gpt2("detect", "--calibrate", validFile, "--set", set, "--model", out, "--out", join(out, "detection.json"));
  console.log(`${out}: ${validation.bitsPerByte.toFixed(4)} bits per byte on the held-out books`);
}

async function readModel(run: string) {
  const { config, tensors, close } = await openCheckpoint(join(run, "model"));
  const read = [...tensors.values()].map((tensor) => {
    const data = new Float32Array(numel(tensor.shape));
    tensor.readInto(data);
    return { name: tensor.name, shape: tensor.shape, data };
  });
  close();
  return { config, tensors: read };
}

/** Events of runs as if they had been one. */
function oneAfterAnother(runs: readonly (readonly TrainEvent[])[]): TrainEvent[] {
  let before = 0;
  return runs.flatMap((events) => {
    const shifted = events.map((e) => ("step" in e ? { ...e, step: e.step + before } : e));
    before += events.reduce((last, e) => (e.type === "step" ? Math.max(last, e.step) : last), 0);
    return shifted;
  });
}

/** The published weights on the whole validation set, in windows of the context, as in training. */
async function bitsPerByte(model: GPT2): Promise<{ loss: number; bitsPerByte: number; tokens: number }> {
  const T = model.config.nCtx;
  const set = await TokenDataset.open(all.data, { split: "val", vocabSize: model.config.vocabSize });
  const { tokens: allTokens, bytes } = readDatasetInfo(all.data)!.splits.val!;
  let [total, tokens] = [0, 0];
  for (let i = 0; i < set.windows(T); i++) {
    const window = set.sequence(i, T);
    const { logprob } = await model.score(window.subarray(1), { context: window.subarray(0, 1), stride: T });
    total -= logprob;
    tokens += T;
  }
  set.close();
  const loss = total / tokens;
  return { loss, tokens, bitsPerByte: (loss * allTokens) / bytes / Math.LN2 };
}
