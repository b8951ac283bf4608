import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openCheckpoint, saveCheckpoint } from "../src/checkpoint/node.js";
import { TokenDataset } from "../src/data/dataset.js";
import { readDatasetInfo } from "../src/data/dataset-info.js";
import { GPT2 } from "../src/gpt2.js";
import { numel, parameterCount } from "../src/model/tensors.js";
import type { TrainEvent } from "../src/train/events.js";
import { packageFile } from "../src/util/package-root.js";
import { curveSvg } from "./curve-svg.js";
import { publishOverlap } from "./measure-overlap.js";
import { modelCard } from "./model-card.js";

/**
 * Makes the model that comes with the package, from the corpus to models/default: tokenizer, token shards, training,
 * and, from the finished run, the weights in f16, the loss curve, ten samples and the model card. Each part is skipped
 * when its result is there, so that a broken-off run goes on where it was.
 *
 *     node dist/scripts/default-model.js --corpus CORPUS --work WORK [--eval EVAL]
 *
 * CORPUS holds train-*.txt.gz, valid.txt.gz and SOURCES.md, as models/default/SOURCES.md describes them.
 */
const SHAPE = ["--layers", "6", "--embd", "256", "--heads", "4", "--context", "512"];
const RECIPE = [
  ...["--batch-size", "16", "--batch-tokens", "8192", "--warmup", "150"],
  ...["--lr", "2e-3", "--min-lr", "1e-4", "--seed", "1"],
  ...["--val-every", "200", "--val-batches", "0", "--save-every", "100", "--keep", "2"],
];
/** A whole schedule, and its warm continuation under the cosine of the longer one. */
const STEPS = ["3000", "6400"] as const;
const VOCAB_SIZE = "8192";

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
const [tokenizer, data, run] = ["tokenizer", "data", "run"].map((name) => join(work, name)) as [string, string, string];
const trainFiles = ["00", "01", "02"].map((n) => join(corpus, `train-${n}.txt.gz`));
const validFile = join(corpus, "valid.txt.gz");

function gpt2(...args: string[]): void {
  console.log(`$ gpt2 ${args.join(" ")}`);
  const { status } = spawnSync(process.execPath, [packageFile("dist/src/cli/main.js"), ...args], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

await mkdir(work, { recursive: true });
if (!existsSync(tokenizer)) gpt2("tokenizer", "train", ...trainFiles, "--vocab-size", VOCAB_SIZE, "--out", tokenizer);
if (!existsSync(data)) {
  gpt2("data", ...trainFiles, "--val", validFile, "--tokenizer", join(tokenizer, "tokenizer.json"), "--out", data);
}
for (const steps of STEPS) {
  const done = existsSync(join(run, "metrics.jsonl")) ? await stepsDone() : 0;
  const how = existsSync(join(run, "checkpoints")) ? ["--resume"] : [data, ...SHAPE, ...RECIPE];
  if (done < Number(steps)) gpt2("train", "--out", run, ...how, "--steps", steps);
}
await publish();

/** The last step that the run has written down. */
async function stepsDone(): Promise<number> {
  const lines = (await readFile(join(run, "metrics.jsonl"), "utf8")).trim().split("\n");
  return lines.reduce((last, line) => Math.max(last, (JSON.parse(line) as { step?: number }).step ?? 0), 0);
}

/** From the finished run to the files that ship. */
async function publish(): Promise<void> {
  const trained = await openCheckpoint(join(run, "model"));
  const { config } = trained;
  const tensors = [...trained.tensors.values()].map((tensor) => {
    const values = new Float32Array(numel(tensor.shape));
    tensor.readInto(values);
    return { name: tensor.name, shape: tensor.shape, data: values };
  });
  trained.close();
  await saveCheckpoint(out, { config, tensors }, { dtype: "f16" });
  await cp(join(data, "tokenizer.json"), join(out, "tokenizer.json"));
  await cp(join(corpus!, "SOURCES.md"), join(out, "SOURCES.md"));

  const lines = (await readFile(join(run, "metrics.jsonl"), "utf8")).trim().split("\n");
  const events = lines.map((line) => JSON.parse(line) as TrainEvent);
  await writeFile(join(out, "loss.svg"), curveSvg(events));

  const model = await GPT2.load(out);
  const samples: string[] = [];
  for (let seed = 1; seed <= 10; seed++)
    samples.push((await model.complete("", { seed, maxNewTokens: 150 })).text.trim());
  const validation = await bitsPerByte(model);
  await model.dispose();
  const bytes = (await stat(join(out, "model.safetensors"))).size;
  const info = readDatasetInfo(data)!;
  await writeFile(
    join(out, "README.md"),
    modelCard({
      config,
      parameters: parameterCount(config),
      bytes,
      info,
      events,
      samples,
      validation,
      shape: SHAPE,
      recipe: RECIPE,
      steps: STEPS,
      note: values.note,
    }),
  );
  await publishOverlap({ out, trainFiles, validFile, work: work!, evalFolder: values.eval });
  console.log(`${out}: ${validation.bitsPerByte.toFixed(4)} bits per byte on the held-out books`);
}

/** The published weights on the whole validation set, in windows of the context, as in training. */
async function bitsPerByte(model: GPT2): Promise<{ loss: number; bitsPerByte: number; tokens: number }> {
  const T = model.config.nCtx;
  const set = await TokenDataset.open(data, { split: "val", vocabSize: model.config.vocabSize });
  const { tokens: allTokens, bytes } = readDatasetInfo(data)!.splits.val!;
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
