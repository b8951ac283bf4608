/** Training a GPT-Neo: from scratch, resumed, as the base of an adapter and of a classifier; and its saved files. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { GPTNeoConfig } from "../../src/architectures/gpt-neo/config.js";
import { GPT2 } from "../../src/gpt2.js";
import type { EndEvent, StartEvent, TrainEvent, ValidationEvent } from "../../src/train/events.js";
import { type FinetuneOptions, finetune } from "../../src/train/finetune.js";
import { gpt2 } from "../cli/run.js";
import { assertClose } from "../helpers/compare.js";
import { anyBackend, curveOf, TINY_SHAPE, tinyData, trainTiny, weightsOf } from "../helpers/tiny-run.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-neo-train-"));
after(() => rmSync(dir, { recursive: true }));

/** Local layers see a quarter of a sequence. */
const SHAPE = { ...TINY_SHAPE, architecture: "gpt-neo", windowSize: 6 } as const;
let data: string;
let model: string;
let events: TrainEvent[];

before(async () => {
  data = await tinyData(join(dir, "data"));
  const out = join(dir, "whole");
  events = await trainTiny({ data, out, config: SHAPE });
  model = join(out, "model");
});

const ofType = <T extends TrainEvent>(list: readonly TrainEvent[], type: T["type"]): T[] =>
  list.filter((event): event is T => event.type === type);

async function tuned(options: Partial<FinetuneOptions> & { readonly out: string }): Promise<TrainEvent[]> {
  const trainer = await finetune({ backend: await anyBackend(), from: model, ...options });
  const seen: TrainEvent[] = [];
  for await (const event of trainer.run()) seen.push(event);
  return seen;
}

describe("a GPT-Neo from scratch", () => {
  it("learns, and is saved in a form that transformers loads", async () => {
    const [start] = ofType<StartEvent>(events, "start");
    assert.equal(start!.config.architecture, "gpt-neo");
    const losses = ofType<ValidationEvent>(events, "validation").map(({ loss }) => loss);
    assert.ok(losses.at(-1)! < losses[0]! - 0.1, `held out: ${losses}`);
    const json = JSON.parse(readFileSync(join(model, "config.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual([json.model_type, json.architectures], ["gpt_neo", ["GPTNeoForCausalLM"]]);
    assert.deepEqual([json.window_size, json.attention_types], [6, [[["global", "local"], 1]]]);
    const loaded = await GPT2.load(model, { threads: 1 });
    assert.equal((loaded.config as GPTNeoConfig).windowSize, 6);
    assert.ok((await loaded.complete("The", { maxNewTokens: 8, seed: 1 })).tokens.length > 0);
    assert.ok((await loaded.score("The White Queen")).perplexity < TINY_SHAPE.vocabSize);
    await loaded.dispose();
  });

  it("resumes after a stop bit for bit", async () => {
    const out = join(dir, "broken");
    const stop = new AbortController();
    await trainTiny({ data, out, config: SHAPE, signal: stop.signal }, ({ step }) => step >= 13 && stop.abort());
    await trainTiny({ out, resume: true });
    const whole = join(dir, "whole");
    assert.deepEqual(curveOf(out), curveOf(whole));
    assert.ok(weightsOf(out).model.equals(weightsOf(whole).model));
  });

  it("is trained by the command line's --arch, and refused with another architecture's shape", async () => {
    const out = join(dir, "command");
    const flags = [
      "--layers",
      "2",
      "--embd",
      "32",
      "--heads",
      "2",
      "--context",
      "16",
      "--steps",
      "3",
      "--threads",
      "1",
      "--window",
      "6",
    ];
    const { stdout, status } = await gpt2(["train", data, "--out", out, "--arch", "gpt-neo", ...flags]);
    assert.equal(status, 0);
    assert.match(stdout, /^GPT-Neo, 2 layers of 32/m);
    const info = await gpt2(["info", join(out, "model")]);
    assert.match(info.stdout, /^architecture +GPT-Neo$/m);
    const plan = await gpt2(["train", "--plan", "--preset", "gpt-neo-125m", "--json"]);
    assert.equal((JSON.parse(plan.stdout) as { parameters: number }).parameters, 125198592);
    const mixed = await gpt2(["train", "--plan", "--preset", "gpt2-medium", "--arch", "gpt-neo"]);
    assert.match(mixed.stderr, /expected a shape of gpt-neo, got gpt2/);
    const resumed = await gpt2(["train", "--plan", "--resume", "--out", out, "--json"]);
    const { config } = JSON.parse(resumed.stdout) as { config: GPTNeoConfig };
    assert.deepEqual([config.architecture, config.nEmbd, config.attentionLayers], ["gpt-neo", 32, ["global", "local"]]);
    assert.equal(config.windowSize, 6);
    const gpt2Window = await gpt2(["train", "--plan", "--window", "6"]);
    assert.match(gpt2Window.stderr, /expected options that exist, got windowSize/);
  });
});

describe("an adapter of a GPT-Neo", () => {
  it("has PEFT's names, and adds what it learned to the model", async () => {
    const out = join(dir, "lora");
    const seen = await tuned({
      data,
      out,
      lora: { rank: 4, targets: ["q_proj", "v_proj", "out_proj", "c_proj"] },
      settings: { steps: 30, seqLength: 24, batchSize: 2, lr: 1e-2, sampleEvery: 0 },
    });
    const [end] = ofType<EndEvent>(seen, "end");
    const json = JSON.parse(readFileSync(join(end!.adapter!, "adapter_config.json"), "utf8")) as Record<
      string,
      unknown
    >;
    assert.deepEqual(json.target_modules, ["q_proj", "v_proj", "out_proj", "c_proj"]);
    assert.equal(json.fan_in_fan_out, false);
    const adapted = await GPT2.load(model, { adapters: end!.adapter!, threads: 1 });
    const merged = await GPT2.load(model, { merge: end!.adapter!, threads: 1 });
    const ids = Array.from({ length: 24 }, (_, i) => (i * 7) % TINY_SHAPE.vocabSize);
    const logits = await adapted.logits(ids);
    assertClose("merged", await merged.logits(ids), logits, { relative: 2e-5 });
    const plain = await adapted.logits(ids, { adapter: null });
    assert.ok(
      plain.some((x, i) => Math.abs(x - logits[i]!) > 0.01),
      "it changes something",
    );
    await assert.rejects(tuned({ data, out: join(dir, "no"), lora: { targets: ["c_attn"] } }), {
      name: "UsageError",
      message: /expected attn\.attention\.q_proj, .*all-linear, got c_attn/,
    });
  });
});

describe("a GPT-Neo as a classifier", () => {
  it("learns labels, and is saved as transformers' GPTNeoForSequenceClassification", async () => {
    const lines = Array.from({ length: 60 }, (_, i) => {
      const good = i % 2 === 0;
      return JSON.stringify({ text: `${good ? "Alice" : "the"} ${i}`, label: good ? "good" : "bad" });
    });
    const file = join(dir, "labels.jsonl");
    writeFileSync(file, `${lines.join("\n")}\n`);
    const out = join(dir, "classifier");
    const seen = await tuned({ data: file, out, task: "classify", settings: { steps: 40, lr: 3e-3, useBest: 0 } });
    const path = ofType<EndEvent>(seen, "end")[0]!.model!;
    const json = JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual(json.architectures, ["GPTNeoForSequenceClassification"]);
    const classifier = await GPT2.load(path, { threads: 1 });
    assert.equal((await classifier.classify("Alice 100")).label, "good");
    assert.equal((await classifier.classify("the 101")).label, "bad");
    await classifier.dispose();
  });
});
