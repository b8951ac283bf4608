/** `gpt2 finetune --task`, `gpt2 classify` and `gpt2 embed`, as a user runs them. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { BYTES, byteTokenizer } from "../generate/models.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { gpt2 } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-classify-command-"));
const base = join(folder, "base");
const CONFIG = gpt2Config({ vocabSize: BYTES, nCtx: 16, nEmbd: 32, nHead: 2, nLayer: 1 });

function jsonl(name: string, lines: readonly object[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

before(async () => {
  const tensors = Array.from(seededTensors(CONFIG, 1), ([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(base, { config: CONFIG, tensors });
  await saveTokenizer(byteTokenizer(), base);
});
after(() => rmSync(folder, { recursive: true }));

const learn = (...args: string[]) =>
  gpt2(["finetune", "--model", base, "--lr", "0.01", "--epochs", "12", "--patience", "0", "--threads", "1", ...args]);

describe("gpt2 classify", { concurrency: 2 }, () => {
  it("labels one text or many, and measures accuracy", async () => {
    const lines = Array.from({ length: 40 }, (_, i) => ({
      text: `${i}${"xy"[i % 2]}`,
      label: ["left", "right"][i % 2],
    }));
    const data = jsonl("sides.jsonl", lines);
    const out = join(folder, "sides");
    const { stdout, stderr, status } = await learn(data, "--task", "classify", "--out", out, "--lora", "4");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^learned: one of 2 labels for each text: left, right$/m);
    assert.match(stdout, /^step \d+: validation loss [\d.]+, accuracy [\d.]+%, macro F1 [\d.]+ \(best so far\)$/m);
    assert.match(stdout, /^held out: accuracy [\d.]+%, macro F1 [\d.]+\nlabel +precision +recall +F1 +texts\nleft /m);
    const model = ["--model", base, "--adapter", join(out, "adapter"), "--threads", "1"];
    const one = await gpt2(["classify", "7y", ...model]);
    assert.match(one.stdout, /^ *\d+\.\d% {2}right\n *\d+\.\d% {2}left\n$/);
    const merged = join(folder, "merged");
    assert.equal((await gpt2(["merge", join(out, "adapter"), merged])).status, 0);
    const info = await gpt2(["info", merged, "--tensors"]);
    assert.match(info.stdout, /^task +classification: left, right$/m);
    assert.match(info.stdout, /^score\.weight +f32 +\[2, 32\]/m);
    const many = await gpt2(["classify", "--data", data, ...model]);
    assert.match(many.stdout, /^40 texts: accuracy (9[5-9]|100)\.\d%, macro F1 [\d.]+\nlabel /);
    const json = await gpt2(["classify", "--data", data, "--json", ...model]);
    const parsed = json.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(parsed.length, 40);
    assert.deepEqual(Object.keys(parsed[1]!), ["text", "label", "predicted", "probability", "scores"]);
    assert.equal(parsed[1]!.predicted, "right");
    const other = await gpt2(["classify", "--data", jsonl("other.jsonl", [{ text: "x", label: "up" }]), ...model]);
    assert.equal(other.status, 1);
    assert.match(other.stderr, /label of text 1: expected left, right, got "up"/);
  });

  it("predicts a number for a text", { skip: LIKE_OTHERS }, async () => {
    const lines = Array.from({ length: 40 }, (_, i) => ({ text: `${i}${"xy"[i % 2]}`, label: i % 2 }));
    const data = jsonl("numbers.jsonl", lines);
    const out = join(folder, "numbers");
    const { stdout, stderr, status } = await learn(data, "--task", "regress", "--out", out, "--epochs", "20");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^held out: mean squared error [\d.e-]+, mean absolute error [\d.e-]+$/m);
    const one = await gpt2(["classify", "7y", "--model", join(out, "model"), "--threads", "1"]);
    assert.ok(Math.abs(Number(one.stdout) - 1) < 0.4, one.stdout);
  });

  it("refuses language models, calls without a text, and both sources of text", async () => {
    const plain = await gpt2(["classify", "x", "--model", base]);
    assert.match(
      plain.stderr,
      /expected a model or adapter fine-tuned for classification, got one that generates text/,
    );
    assert.equal(plain.status, 2);
    const both = await gpt2(["classify", "x", "--data", "y.jsonl", "--model", base]);
    assert.match(both.stderr, /--data: expected either lines of JSONL or a text, got both/);
    const preview = await gpt2(["finetune", "x.jsonl", "--task", "classify", "--preview"]);
    assert.match(preview.stderr, /--preview: expected prompts or chats, got --task classify/);
  });
});

describe("gpt2 embed", () => {
  it("prints a vector for each text", async () => {
    const data = jsonl("texts.jsonl", [{ text: "one", label: 0.5 }, { text: "two" }]);
    const { stdout, stderr } = await gpt2(["embed", "--data", data, "--model", base]);
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { text: string; embedding: number[] });
    assert.deepEqual(
      rows.map(({ text }) => text),
      ["one", "two"],
      stderr,
    );
    for (const { embedding } of rows) {
      assert.equal(embedding.length, CONFIG.nEmbd);
      assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
    }
    const last = await gpt2(["embed", "one", "--model", base, "--pooling", "last", "--no-normalize"]);
    const { embedding } = JSON.parse(last.stdout) as { embedding: number[] };
    assert.ok(Math.abs(Math.hypot(...embedding) - 1) > 0.1);
    const long = await gpt2(["embed", "x".repeat(17), "--model", base]);
    assert.match(long.stderr, /expected at most 16 tokens, the model's context, got 17/);
    assert.equal((await gpt2(["embed", "x".repeat(17), "--model", base, "--truncate"])).status, 0);
  });
});
