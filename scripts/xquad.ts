import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { bootstrap } from "../src/evaluate/metrics/metric.js";
import { type ScoredQuestion, squadReport } from "../src/evaluate/metrics/squad.js";
import { packageFile } from "../src/util/package-root.js";

/**
 * Answers to XQuAD's English questions (Artetxe et al. 2019): an encoder learns from three of every four articles, and
 * is scored on the fourth.
 *
 *     node dist/scripts/xquad.js --xquad xquad.en.json.gz --model BERT --work WORK [--epochs N] [--lr X] [--threads N]
 *
 * WORK/answers.jsonl has each answer; scripts/python/check_squad_scores.py scores them with transformers' version of
 * SQuAD's script.
 */
const { values } = parseArgs({
  options: {
    xquad: { type: "string" },
    model: { type: "string" },
    work: { type: "string" },
    epochs: { type: "string", default: "4" },
    lr: { type: "string", default: "1e-4" },
    threads: { type: "string", default: "1" },
  },
});
const { xquad, model, work, epochs, lr, threads } = values;
if (!xquad || !model || !work) {
  console.error(
    "usage: node dist/scripts/xquad.js --xquad FILE --model BERT --work DIR [--epochs N] [--lr X] [--threads N]",
  );
  process.exit(2);
}
mkdirSync(work, { recursive: true });

const { data } = JSON.parse(gunzipSync(readFileSync(xquad)).toString()) as { data: object[] };
const part = (name: string, isIn: (article: number) => boolean): string => {
  const path = join(work, `${name}.json`);
  writeFileSync(path, JSON.stringify({ version: "1.1", data: data.filter((_, i) => isIn(i)) }));
  return path;
};
const train = part("train", (i) => i % 4 !== 3);
const test = part("test", (i) => i % 4 === 3);

const run = join(work, "run");
if (!existsSync(join(run, "model"))) {
  const recipe = ["--epochs", epochs, "--lr", lr, "--seq-length", "256", "--precision", "bf16", "--patience", "0"];
  // No part of the training articles is held out: the last model is scored.
  const whole = ["--val-every", "0", "--sample-every", "0", "--last"];
  const how = existsSync(join(run, "checkpoints"))
    ? ["--resume"]
    : [train, "--task", "answer", "--model", model, ...recipe, ...whole];
  gpt2("finetune", ...how, "--threads", threads, "--out", run);
}
const answers = gpt2("answer", "--data", test, "--model", join(run, "model"), "--threads", threads, "--json");
writeFileSync(join(work, "answers.jsonl"), answers);
const scored = answers
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as ScoredQuestion);
const { exact, f1, questions } = squadReport(scored);
console.log(`${questions} questions: exact match ${exact}, F1 ${f1}`);
for (const name of ["exact", "f1"] as const) {
  const each = scored.map((one) => squadReport([one])[name]);
  const { low, high } = bootstrap(each.length, (indices) => {
    let sum = 0;
    for (const i of indices) sum += each[i]!;
    return sum / indices.length;
  });
  console.log(`${name}: 95% interval ${low} to ${high}`);
}

function gpt2(...args: string[]): string {
  const { status, stdout } = spawnSync(process.execPath, [packageFile("dist/src/cli/main.js"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) process.exit(status ?? 1);
  return stdout;
}
