/** `gpt2 finetune`, `gpt2 merge` and --adapter, as a user runs them. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import type { TrainEvent } from "../../src/train/events.js";
import { BYTES, byteTokenizer } from "../generate/models.js";
import { HubServer } from "../helpers/hub-server.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { gpt2 } from "./run.js";

const folder = mkdtempSync(join(tmpdir(), "gpt2-finetune-command-"));
const model = join(folder, "model");
const pairs = join(folder, "pairs.jsonl");
const CONFIG = gpt2Config({ vocabSize: BYTES, nCtx: 32, nEmbd: 32, nHead: 2, nLayer: 2 });
/** Most of the time is spent starting. */
const PARALLEL = { concurrency: 3 };

before(async () => {
  const tensors = Array.from(seededTensors(CONFIG, 1), ([{ name, shape }, data]) => ({ name, shape, data }));
  const tokenizer = byteTokenizer();
  await saveCheckpoint(model, { config: CONFIG, tensors, eosTokenIds: [tokenizer.endOfText!] });
  await saveTokenizer(tokenizer, model);
  const lines = Array.from({ length: 24 }, (_, i) => ({ question: `${i % 4}?`, answer: "abcd"[i % 4] }));
  writeFileSync(pairs, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
});
after(() => rmSync(folder, { recursive: true }));

const TEMPLATE = '{ "prompt": "Q{question}", "completion": "{answer}<|endoftext|>" }';
const QUICK = "--seq-length 16 --batch-size 4 --threads 1 --sample-every 0".split(" ");
const learn = (out: string, ...args: string[]) =>
  gpt2(["finetune", pairs, "--model", model, "--out", out, "--template", TEMPLATE, ...QUICK, ...args]);
const last = (text: string): string => text.trimEnd().split("\n").at(-1)!;

describe("gpt2 finetune", PARALLEL, () => {
  it("trains an adapter that --adapter uses, in its template, and that merges into the model", async () => {
    const out = join(folder, "lora");
    const { stdout, stderr, status } = await learn(
      out,
      ..."--lora 8 --lr 0.02 --steps 120 --val-every 40 --merge".split(" "),
    );
    assert.equal(status, 0, stderr);
    const lines = stdout.split("\n");
    assert.match(lines[0]!, /^GPT-2, 2 layers of 32, 2 heads, context 32, vocabulary 257/);
    assert.match(
      lines[1]!,
      /^trained: [\d.]+k parameters, [\d.]+%, LoRA of rank 8 on attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj, times 16 \/ 8$/,
    );
    assert.match(lines[2]!, /memory [\d.]+ MiB: frozen weights [\d.]+ MiB, adapter, its gradients and optimizer/);
    assert.match(stdout, /^\d+ examples, \d+ held out$/m);
    assert.match(last(stdout), /^done in 0:\d\d: the adapter is in .*lora\/adapter/);
    assert.match(stderr, /the model with the adapter merged is in .*lora\/model/);
    const adapter = join(out, "adapter");
    const greedy = ["--temperature", "0", "-n", "4", "--no-echo"];
    for (const [question, answer] of [
      ["0?", "a"],
      ["3?", "d"],
    ] as const) {
      const got = await gpt2([question, "--adapter", adapter, "--template", ...greedy]);
      assert.equal(got.stdout, `${answer}\n`, got.stderr);
    }
    const merged = join(out, "model");
    assert.equal((await gpt2(["Q1?", "--model", merged, ...greedy])).stdout, "b\n");
    const score = async (...args: string[]) => {
      const { stdout } = await gpt2(["score", "Q2?c", "--json", ...args]);
      return (JSON.parse(stdout) as { logprobs: number[] }).logprobs.at(-1)!;
    };
    const [adapted, folded] = [await score("--adapter", adapter), await score("--model", merged)];
    assert.ok(Math.abs(adapted - folded) < 1e-3, `${adapted}, merged ${folded}`);
    assert.ok(Math.abs(adapted - (await score("--model", model))) > 0.5, "an adapter makes a difference");
    const info = await gpt2(["info", adapter]);
    assert.match(info.stdout, /^rank +8, times 16 \/ 8$/m);
    assert.match(info.stdout, /^layers +2 × attn.c_attn, 2 × attn.c_proj, 2 × mlp.c_fc, 2 × mlp.c_proj$/m);
    const names = readdirSync(adapter);
    const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(join(adapter, name)))]));
    const hub = await HubServer.start({ id: "owner/adapter", commit: "0".repeat(40), files });
    try {
      const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, "hub-home"), HF_TOKEN: "", NO_PROXY: "*" };
      const got = await gpt2(["3?", "--adapter", "owner/adapter", "--template", ...greedy], "", env);
      assert.equal(got.stdout, "d\n", got.stderr);
      const described = await gpt2(["info", "owner/adapter", "--offline"], "", env);
      assert.equal(described.stdout.split("\n").slice(1).join("\n"), info.stdout.split("\n").slice(1).join("\n"));
    } finally {
      await hub.close();
    }
    const gguf = join(folder, "merged.gguf");
    const merge = await gpt2(["merge", adapter, gguf, "--dtype", "f32"]);
    assert.equal(merge.status, 0, merge.stderr);
    assert.equal((await gpt2(["Q1?", "--model", gguf, ...greedy])).stdout, "b\n");
  });

  it("continues a run, and trains the whole model without --lora", { skip: LIKE_OTHERS }, async () => {
    const out = join(folder, "full");
    const first = await learn(out, ..."--steps 3 --val-every 0 --json".split(" "));
    assert.equal(first.status, 0, first.stderr);
    const again = await gpt2(["finetune", "--resume", "--out", out, "--steps", "4", "--json", "--threads", "1"]);
    assert.equal(again.status, 0, again.stderr);
    const events = again.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as TrainEvent);
    assert.deepEqual(
      events.map(({ type }) => type),
      ["start", "step", "checkpoint", "end"],
    );
    assert.ok(existsSync(join(out, "model", "model.safetensors")) && existsSync(join(out, "model", "template.json")));
    assert.equal(readFileSync(join(out, "metrics.jsonl"), "utf8").match(/"type":"step"/g)!.length, 4);
  });

  it("shows examples and the plan without training", { skip: LIKE_OTHERS }, async () => {
    const shown = await gpt2(["finetune", pairs, "--template", TEMPLATE, "--preview", "1"]);
    assert.match(shown.stdout, /^--- example 1, learned in \[\[ \]\]\nQ0\?\[\[a<\|endoftext\|>\]\]$/m);
    const json = JSON.parse(
      (await gpt2(["finetune", pairs, "--template", TEMPLATE, "--preview", "2", "--json"])).stdout,
    );
    assert.deepEqual(json.examples[1], [
      { text: "Q1?", learned: false },
      { text: "b<|endoftext|>", learned: true },
    ]);
    const plan = await gpt2(["finetune", "--model", model, "--lora", "4", "--recompute", "--plan"]);
    assert.match(plan.stdout, /^trained: [\d.]+k parameters, [\d.]+%, LoRA of rank 4/m);
    assert.match(plan.stdout, /activations recomputed\nmemory [\d.]+ MiB: frozen weights/);
    const task = await gpt2(["finetune", "--model", model, "--task", "classify", "--plan"]);
    assert.match(task.stdout, /^passes of at most \d+ sequences of 32\nmemory [\d.]+ MiB: parameters/m);
  });

  it("reports wrong calls", async () => {
    const out = join(folder, "wrong");
    const refused = async (message: RegExp, ...args: string[]) => {
      const { stderr, status, stdout } = await gpt2(["finetune", ...args]);
      assert.deepEqual([status, stdout], [2, ""], stderr);
      assert.match(stderr, message);
    };
    await refused(/expected --out, the run's folder, got none/, pairs);
    await refused(/expected data, got none/, "--out", out);
    await refused(/--lora with an adapter's options, got alpha without it/, pairs, "--out", out, "--lora-alpha", "2");
    await refused(/got --merge without it/, pairs, "--out", out, "--merge");
    await refused(
      /LoRA targets: expected attn.c_attn.*got head/,
      pairs,
      "--out",
      out,
      "--lora",
      "--lora-targets",
      "head",
    );
    await refused(
      /--template: expected plain, story, chat, a file, or JSON, got nowhere.json/,
      pairs,
      "--out",
      out,
      "--template",
      "nowhere.json",
    );
    await refused(/template: expected an object with "prompt"/, pairs, "--out", out, "--template", "{}");
    const unfit = await gpt2(["finetune", pairs, "--model", model, "--out", out, "--lora"]);
    assert.equal(unfit.status, 1);
    assert.match(unfit.stderr, /prompt and completion, or messages, got the fields question, answer/);
    const memory = await gpt2(["X", "--model", model, "--template"]);
    assert.match(memory.stderr, /--template: expected an adapter or a model with a template, got no .*template.json/);
    assert.ok(!existsSync(out));
  });
});
