import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { RandomStream } from "../../src/util/random.js";
import { gpt2 } from "../cli/run.js";

const folder = await mkdtemp(join(tmpdir(), "gpt2-head-"));
after(() => rm(folder, { recursive: true, force: true }));

function texts(machine: boolean, count: number): string[] {
  const random = new RandomStream(3, machine ? 1 : 2);
  const words = machine ? ["cold", "wind", "rain", "snow"] : ["warm", "sun", "bees", "roses"];
  const word = () => words[random.below(4)]!;
  return Array.from({ length: count }, () => Array.from({ length: 22 }, word).join(" "));
}

test("gpt2 detect --train --head fine-tunes a model that --classifier uses", async () => {
  const [human, machine, out] = ["human.jsonl", "machine.jsonl", "run"].map((name) => join(folder, name));
  for (const [path, of] of [
    [human, texts(false, 200)],
    [machine, texts(true, 200)],
  ] as const) {
    await writeFile(path!, of.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  }
  const made = await gpt2(["detect", "--train", human!, machine!, "--head", "--epochs", "1", "--out", out!]);
  assert.equal(made.status, 0, made.stderr);
  assert.match(
    made.stdout,
    /^320 texts for training, 40 for validation, 20 human ones for calibration\naccuracy +100\.00%/,
  );
  const of = async (text: string) =>
    JSON.parse((await gpt2(["detect", "--classifier", join(out!, "model"), "--json"], text)).stdout);
  const [like, unlike] = [await of(texts(true, 201)[200]!), await of(texts(false, 201)[200]!)];
  assert.ok(like.logOdds > 0 && like.falsePositives.rate <= 1 / 21 + 1e-9, JSON.stringify(like));
  assert.ok(unlike.logOdds < 0 && unlike.falsePositives.rate > 1 / 21, JSON.stringify(unlike));
});
