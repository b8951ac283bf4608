import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { BERT } from "../../src/bert.js";
import { HeadDetector } from "../../src/misuse/classifier/head-detector.js";
import { RandomStream } from "../../src/util/random.js";
import { gpt2 } from "../cli/run.js";
import { bertFolder } from "../helpers/bert-fixtures.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";

const folder = await mkdtemp(join(tmpdir(), "gpt2-encoder-detector-"));
after(() => rm(folder, { recursive: true, force: true }));

/** People write of cats, machines of dogs. */
function texts(machine: boolean, count: number): string[] {
  const random = new RandomStream(3, machine ? 1 : 2);
  const word = () => ["the", "a", "sat", "was", "on", machine ? "dog" : "cat"][random.below(6)]!;
  return Array.from({ length: count }, () => Array.from({ length: 30 }, word).join(" "));
}

test("gpt2 detect --train --head fine-tunes a BERT that --classifier uses", { skip: LIKE_OTHERS }, async () => {
  const [human, machine, out] = ["human.jsonl", "machine.jsonl", "run"].map((name) => join(folder, name));
  for (const [path, of] of [
    [human, texts(false, 200)],
    [machine, texts(true, 200)],
  ] as const) {
    await writeFile(path!, of.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  }
  const flags = ["--head", "--model", bertFolder("masked"), "--epochs", "5", "--lr", "2e-2"];
  const made = await gpt2(["detect", "--train", human!, machine!, ...flags, "--out", out!]);
  assert.equal(made.status, 0, made.stderr);
  assert.match(
    made.stdout,
    /^320 texts for training, 40 for validation, 20 human ones for calibration\naccuracy +100\.00%/,
  );
  const trained = join(out!, "model");
  const detected = await gpt2(["detect", "--classifier", trained, "--json"], texts(true, 201)[200]!);
  const { logOdds, falsePositives } = JSON.parse(detected.stdout);
  assert.ok(logOdds > 0 && falsePositives.rate <= 1 / 21 + 1e-9, detected.stdout);

  await using model = await BERT.load(trained);
  const [like, unlike] = [texts(true, 202)[201]!, texts(false, 202)[201]!];
  const odds = await new HeadDetector(model).score([like, unlike]);
  assert.ok(odds[0]! > 0 && odds[1]! < 0, odds.join());
  const [{ label, score }] = (await model.classify(like)) as [{ label: string; score: number }];
  assert.equal(label, "machine");
  assert.ok(Math.abs(score - 1 / (1 + Math.exp(-odds[0]!))) < 1e-12);

  const adapter = await gpt2(["detect", "--classifier", trained, "--adapter", folder], like);
  assert.match(adapter.stderr, /expected a LoRA adapter/);
  assert.equal(adapter.status, 1);
});

test("a BERT with other labels is not a detector", async () => {
  await using model = await BERT.load(bertFolder("sequence"));
  assert.throws(() => new HeadDetector(model), /expected a classifier with the labels human and machine, got /);
});
