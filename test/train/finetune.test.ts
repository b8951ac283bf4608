/** Fine-tuning: adapters and whole models, on text and on examples; early stopping, the best model, resuming. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { loraTargets } from "../../src/architectures/lora.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { prepareExamples } from "../../src/data/examples/prepare-examples.js";
import { TEMPLATES } from "../../src/data/examples/template.js";
import { GPT2 } from "../../src/gpt2.js";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { loadTokenizer, saveTokenizer } from "../../src/tokenizer/files.js";
import type { TrainEvent } from "../../src/train/events.js";
import { type FinetuneOptions, finetune } from "../../src/train/finetune.js";
import { LORA_DEFAULTS, loraPlan, loraSettings, parseTargets } from "../../src/train/lora-settings.js";
import { assertClose } from "../helpers/compare.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { anyBackend, checkpointsOf, curveOf, TINY_SHAPE, TINY_TEXT, tinyData, trainTiny } from "../helpers/tiny-run.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-finetune-"));
const base = join(dir, "base", "model");
/** Random weights with logits that are far apart, in rows of whole blocks of 32. */
const seeded = join(dir, "seeded");
let data: string;
let folders = 0;
const newFolder = (): string => join(dir, `run-${folders++}`);

/** A model that has learned a little, with its tokenizer. */
before(async () => {
  data = await tinyData(join(dir, "data"));
  const settings = { steps: 40, batchSize: 8, batchTokens: 8 * 24, valEvery: 0, sampleEvery: 0, saveEvery: 1000 };
  await trainTiny({ data, out: join(dir, "base"), settings });
  const config = gpt2Config({ ...TINY_SHAPE, nEmbd: 32, nHead: 2 });
  const tensors = Array.from(seededTensors(config, 1), ([{ name, shape }, values]) => ({ name, shape, data: values }));
  const tokenizer = await loadTokenizer(base);
  await saveCheckpoint(seeded, { config, tensors, eosTokenIds: [tokenizer.endOfText!] });
  await saveTokenizer(tokenizer, seeded);
});
after(() => rmSync(dir, { recursive: true }));

const QUIET = { valEvery: 0, sampleEvery: 0 };
type Options = Partial<FinetuneOptions> & { readonly out: string; readonly stop?: AbortSignal };

async function run(
  { stop, ...options }: Options,
  onEvent: (event: TrainEvent) => void = () => {},
): Promise<TrainEvent[]> {
  const trainer = await finetune({
    backend: await anyBackend(),
    ...(!options.resume && { from: base, data }),
    ...options,
  });
  const events: TrainEvent[] = [];
  for await (const event of trainer.run(stop)) {
    events.push(event);
    onEvent(event);
  }
  return events;
}

function ofType<T extends TrainEvent["type"]>(events: readonly TrainEvent[], type: T) {
  return events.filter((event) => event.type === type) as Extract<TrainEvent, { type: T }>[];
}

/** Sums of small numbers, digit by digit: the learned part is a function of the prompt. */
const SUMS = Array.from({ length: 36 }, (_, i) => {
  const [a, b] = [Math.floor(i / 6), i % 6];
  return { prompt: `${a} ${b} `, completion: `${(a + b) % 6}` };
});

function jsonl(name: string, lines: readonly object[]): string {
  const path = join(dir, name);
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

describe("an adapter", () => {
  it("learns its examples; the model itself is unchanged; it is used, merged and saved like PEFT's", async () => {
    const before = readFileSync(join(seeded, "model.safetensors"));
    const out = newFolder();
    const facts = SUMS.slice(7, 11);
    const events = await run({
      from: seeded,
      data: jsonl("facts.jsonl", facts),
      out,
      lora: { rank: 16 },
      valFraction: 0,
      settings: { batchSize: 2, steps: 120, warmupSteps: 10, lr: 5e-3, sampleEvery: 0 },
    });
    const [start] = ofType(events, "start");
    assert.deepEqual(start!.lora, loraSettings({ rank: 16 }));
    assert.equal(start!.examples?.train, facts.length);
    assert.ok(start!.memory.frozen > 0 && start!.memory.parameters < start!.memory.frozen);
    assert.ok(readFileSync(join(seeded, "model.safetensors")).equals(before));
    const [end] = ofType(events, "end");
    assert.deepEqual([end!.finished, end!.adapter, end!.model], [true, join(out, "adapter"), undefined]);

    const adapter = join(out, "adapter");
    assert.deepEqual(readdirSync(adapter).sort(), [
      "adapter_config.json",
      "adapter_model.safetensors",
      "template.json",
    ]);
    const json = JSON.parse(readFileSync(join(adapter, "adapter_config.json"), "utf8")) as Record<string, unknown>;
    assert.deepEqual([json.r, json.lora_alpha, json.base_model_name_or_path], [16, 32, seeded]);
    assert.deepEqual(JSON.parse(readFileSync(join(adapter, "template.json"), "utf8")), TEMPLATES.plain);

    const model = await GPT2.load(undefined, { adapters: adapter, threads: 1 });
    let right = 0;
    for (const { prompt, completion } of facts) {
      const { text, finishReason } = await model.complete(prompt, { temperature: 0, maxNewTokens: 4 });
      if (text === completion && finishReason === "endoftext") right++;
    }
    assert.equal(right, facts.length);
    const plain = await model.complete("1 2 ", { temperature: 0, maxNewTokens: 4, adapter: null });
    assert.notEqual(plain.finishReason, "endoftext");
    const ids = [1, 2, 3, 4];
    const merged = await GPT2.load(seeded, { merge: adapter, threads: 1 });
    assertClose("merged", await merged.logits(ids), await model.logits(ids), { relative: 2e-5 });
  });

  it("resumes after a stop bit for bit, with dropout, on examples and on text, also with extras", {
    skip: LIKE_OTHERS,
  }, async () => {
    const sums = jsonl("some-sums.jsonl", SUMS);
    const cases = {
      examples: { data: sums, lora: { rank: 3, dropout: 0.2 } },
      text: { data, lora: { rank: 2, targets: ["attn.c_proj", "mlp.c_fc"], extras: ["norms", "biases"] } },
    } satisfies Record<string, Partial<FinetuneOptions>>;
    for (const [name, options] of Object.entries(cases)) {
      const [whole, broken] = [newFolder(), newFolder()];
      const settings = {
        batchSize: 2,
        batchTokens: 4 * 24,
        steps: 12,
        valEvery: 5,
        sampleEvery: 6,
        saveEvery: 4,
        dropout: 0.1,
      };
      await run({ ...options, out: whole, settings });
      const stop = new AbortController();
      await run({ ...options, out: broken, settings, stop: stop.signal }, ({ type, step }) => {
        if (type === "step" && step === 7) stop.abort();
      });
      assert.deepEqual(checkpointsOf(broken).at(-1), "step-00000007");
      const again = await run({ out: broken, resume: true });
      assert.ok(ofType(again, "start")[0]!.resumed && ofType(again, "end")[0]!.finished, name);
      assert.deepEqual(curveOf(broken), curveOf(whole), name);
      const bytes = (out: string, file: string) => readFileSync(join(out, file));
      const [a, b] = [
        bytes(whole, "adapter/adapter_model.safetensors"),
        bytes(broken, "adapter/adapter_model.safetensors"),
      ];
      assert.ok(a.equals(b), `${name}: the adapter`);
      const optimizer = join("checkpoints", "step-00000012", "optimizer.safetensors");
      assert.ok(bytes(whole, optimizer).equals(bytes(broken, optimizer)), `${name}: the optimizer's state`);
    }
  });

  it("differs with another seed, and its initial values leave the model unchanged", async () => {
    const [a, b] = [newFolder(), newFolder()];
    const settings = { ...QUIET, steps: 1, lr: 0, batchSize: 2 };
    const first = await run({ out: a, lora: {}, settings });
    await run({ out: b, lora: {}, settings: { ...settings, seed: 2 } });
    const open = (out: string) => readFileSync(join(out, "adapter", "adapter_model.safetensors"));
    assert.ok(!open(a).equals(open(b)));
    const full = await run({ out: newFolder(), settings: { ...settings, dropout: 0 } });
    assert.equal(ofType(first, "step")[0]!.loss, ofType(full, "step")[0]!.loss);
  });

  it("is trained beside frozen weights of any type", { skip: LIKE_OTHERS }, async () => {
    const settings = { steps: 3, batchSize: 2, lr: 1e-3, sampleEvery: 0, valEvery: 3 };
    const losses = new Map<string, number>();
    for (const dtype of ["f32", "f16", "bf16", "q8_0"] as const) {
      const out = newFolder();
      const events = await run({ from: seeded, out, lora: { rank: 2 }, dtype, settings });
      losses.set(dtype, ofType(events, "step")[2]!.loss);
      const again = await run({ out, resume: true, settings: { steps: 4 } });
      assert.equal(ofType(again, "start")[0]!.memory.frozen, ofType(events, "start")[0]!.memory.frozen);
      const other = dtype === "f16" ? "bf16" : "f16";
      await assert.rejects(run({ out, resume: true, dtype: other }), /resuming: dtype: expected "\w+", got/);
    }
    for (const [dtype, loss] of losses) {
      assert.ok(Math.abs(loss - losses.get("f32")!) < 0.05, `${dtype}: ${loss}, f32 ${losses.get("f32")}`);
    }
    assert.equal(new Set(losses.values()).size, 4);
  });
});

describe("fine-tuning a whole model", () => {
  it("makes it better at a text, and keeps the best", async () => {
    const out = newFolder();
    const settings = { batchSize: 8, lr: 3e-3, sampleEvery: 0, valEvery: 4, dropout: 0 };
    const events = await run({ data: TINY_TEXT, out, epochs: 2, settings });
    const losses = ofType(events, "validation").map(({ loss }) => loss);
    const [end] = ofType(events, "end");
    assert.ok(Math.min(...losses) < losses[0]! - 0.05, `from ${losses[0]} to ${Math.min(...losses)}`);
    const model = await GPT2.load(end!.model, { threads: 1 });
    assert.equal(model.tokenizer!.vocabSize, TINY_SHAPE.vocabSize);
    assert.equal(end!.saved, end!.best!.step);
  });

  it("stops when validations no longer improve, ends with the best, and does not continue when resumed", {
    skip: LIKE_OTHERS,
  }, async () => {
    const out = newFolder();
    // A learning rate so large that the loss soon rises.
    const settings = {
      steps: 200,
      batchSize: 2,
      lr: 0.3,
      minLr: 0.3,
      warmupSteps: 8,
      maxNorm: 0,
      valEvery: 2,
      patience: 3,
      sampleEvery: 0,
    };
    const events = await run({ out, settings });
    const validations = ofType(events, "validation");
    const best = validations.reduce((a, b) => (b.loss < a.loss ? b : a));
    const [end] = ofType(events, "end");
    assert.deepEqual([end!.finished, end!.early, end!.saved, end!.best?.step], [true, true, best.step, best.step]);
    assert.equal(validations.length, validations.indexOf(best) + 1 + 3);
    assert.ok(end!.step < 200 && end!.step === validations.at(-1)!.step);
    const kept = readFileSync(
      join(out, "checkpoints", `step-${String(best.step).padStart(8, "0")}`, "model.safetensors"),
    );
    assert.ok(readFileSync(join(out, "model", "model.safetensors")).equals(kept));
    const again = await run({ out, resume: true });
    assert.deepEqual(ofType(again, "step"), []);
    assert.ok(ofType(again, "end")[0]!.early);
    const more = await run({ out, resume: true, settings: { patience: 5 } });
    assert.ok(ofType(more, "step").length >= 4);
  });

  it("ends with the last model on request", async () => {
    const out = newFolder();
    const settings = {
      steps: 6,
      batchSize: 2,
      lr: 0.3,
      maxNorm: 0,
      warmupSteps: 3,
      valEvery: 1,
      useBest: 0,
      patience: 0,
      sampleEvery: 0,
    };
    const [end] = ofType(await run({ out, settings }), "end");
    assert.equal(end!.saved, 6);
    const last = readFileSync(join(out, "checkpoints", "step-00000006", "model.safetensors"));
    assert.ok(readFileSync(join(out, "model", "model.safetensors")).equals(last));
  });

  it("with recomputation gives the same bits", { skip: LIKE_OTHERS }, async () => {
    const [a, b] = [newFolder(), newFolder()];
    const settings = { ...QUIET, steps: 3, batchSize: 2, dropout: 0.1 };
    const kept = await run({ out: a, settings });
    const again = await run({ out: b, settings: { ...settings, recompute: 1 } });
    assert.ok(ofType(again, "start")[0]!.memory.activations < ofType(kept, "start")[0]!.memory.activations);
    const model = (out: string) => readFileSync(join(out, "model", "model.safetensors"));
    assert.ok(model(a).equals(model(b)));
    await assert.rejects(run({ out: a, resume: true, lora: {} }), /resuming: lora: expected none.*got an adapter/);
  });
});

describe("data", () => {
  it("is cut into sequences, packed, held out, and reported", async () => {
    const long = { prompt: "one two three four five six seven eight nine ten ", completion: "eleven" };
    const lines = [...SUMS, long];
    const file = jsonl("long.jsonl", lines);
    const out = newFolder();
    const events = await run({
      data: file,
      val: [jsonl("val.jsonl", SUMS.slice(0, 5))],
      out,
      settings: { batchSize: 2, sampleEvery: 1, steps: 2, valEvery: 1 },
    });
    const [start] = ofType(events, "start");
    assert.deepEqual({ ...start!.examples, hash: undefined }, { train: 37, val: 5, cut: 1, hash: undefined });
    const [step] = ofType(events, "step");
    assert.ok(step!.targets > 4 && step!.targets < 48, `${step!.targets} targets of 48 places`);
    const [validation] = ofType(events, "validation");
    assert.equal(validation!.tokens, 10, "a digit and the end of each");
    const bits = (validation!.loss * 10) / 5 / Math.LN2;
    assert.ok(Math.abs(validation!.bitsPerByte! - bits) < 1e-12 * bits, `${validation!.bitsPerByte}, not ${bits}`);
    const samples = ofType(events, "sample").map(({ text }) => text);
    assert.ok(
      samples.every((text, i) => text.startsWith(SUMS[i + 1]!.prompt)),
      JSON.stringify(samples),
    );
  });

  it("for a number of epochs sets the steps, and the intervals by the epoch", { skip: LIKE_OTHERS }, async () => {
    const file = jsonl("epochs.jsonl", SUMS);
    const settingsFor = async (epochs: number) => {
      const options = { from: base, data: file, valFraction: 0.2, epochs, settings: { batchSize: 1 } };
      const trainer = await finetune({ backend: await anyBackend(), ...options, out: newFolder() });
      for await (const event of trainer.run()) if (event.type === "start") return event.settings;
      throw new Error("no start");
    };
    const [half, one, three] = [await settingsFor(0.5), await settingsFor(1), await settingsFor(3)];
    assert.ok(one.steps >= 6 && Math.abs(three.steps - 3 * one.steps) <= 2, `${one.steps}, ${three.steps} steps`);
    assert.ok(half.steps < one.steps);
    for (const [{ steps, valEvery, saveEvery, sampleEvery }, epochs] of [
      [half, 1],
      [one, 1],
      [three, 3],
    ] as const) {
      const quarter = Math.max(1, Math.round(steps / (4 * epochs)));
      assert.deepEqual([valEvery, saveEvery, sampleEvery], [quarter, quarter, Math.round(steps / epochs)]);
    }
    for (const epochs of [0, -1, Number.NaN, 1e7]) {
      await assert.rejects(settingsFor(epochs), /epochs: expected a positive number, got/);
    }
  });

  it("of documents: none sees another, unless requested", async () => {
    const documents = jsonl(
      "documents.jsonl",
      Array.from({ length: 30 }, (_, i) => ({ text: `The document number ${i}.` })),
    );
    const losses: number[] = [];
    for (const isolate of [1, 0]) {
      const settings = { ...QUIET, steps: 1, batchSize: 2, lr: 0, dropout: 0, isolate };
      losses.push(ofType(await run({ data: documents, out: newFolder(), settings }), "step")[0]!.loss);
    }
    assert.notEqual(losses[0], losses[1]);
  });

  it("is prepared once, and refused if it has changed", async () => {
    const out = newFolder();
    const file = jsonl("once.jsonl", SUMS);
    const settings = { ...QUIET, steps: 2, batchSize: 1 };
    await run({ data: file, out, settings });
    rmSync(join(out, "checkpoints"), { recursive: true });
    rmSync(join(out, "model"), { recursive: true });
    await run({ data: file, out, settings });
    const other = jsonl("other.jsonl", SUMS);
    await assert.rejects(
      run({ data: other, out: out, settings }),
      /made from it.*made from .*once.jsonl.*another --out/,
    );
    const template = { prompt: "{prompt}", completion: "{completion}" };
    await assert.rejects(run({ data: file, out, settings, template }), /made with this template/);
    const tokenizer = await loadTokenizer(base);
    const swapped = join(dir, "swapped");
    const reversed = SUMS.map(({ prompt, completion }) => ({ prompt: [...prompt].reverse().join(""), completion }));
    await prepareExamples([jsonl("reversed.jsonl", reversed)], { out: swapped, tokenizer, valFraction: 0 });
    const given = join(dir, "given");
    await prepareExamples([file], { out: given, tokenizer, valFraction: 0 });
    const third = newFolder();
    await run({ data: given, out: third, settings });
    await assert.rejects(
      run({ data: swapped, out: third, resume: true, settings: { steps: 3 } }),
      /expected the same examples, got different examples with as many tokens/,
    );
  });

  it("is refused: text among examples, a vocabulary that is not the model's, no tokenizer", async () => {
    const out = newFolder();
    await assert.rejects(
      run({ data: [jsonl("mixed.jsonl", SUMS), TINY_TEXT], out }),
      /JSONL alone, got .*looking-glass.txt, which is text/,
    );
    await assert.rejects(run({ data: jsonl("fields.jsonl", [{ a: 1 }]), out }), /the fields a.*--template/);
    await assert.rejects(run({ data: join(dir, "nowhere.txt"), out }), /nowhere.txt/);
    assert.ok(!existsSync(out));
  });
});

describe("adapter settings", () => {
  it("have defaults, and PEFT's names", () => {
    const targets = loraTargets({ architecture: "gpt2" });
    assert.deepEqual(loraSettings(), { ...LORA_DEFAULTS, targets });
    assert.equal(loraSettings({ rank: 4 }).alpha, 8);
    assert.deepEqual(parseTargets(["c_proj"]), ["attn.c_proj", "mlp.c_proj"]);
    assert.deepEqual(parseTargets(["mlp.c_fc", "c_attn"]), ["attn.c_attn", "mlp.c_fc"]);
    assert.deepEqual(parseTargets(["all-linear"]), targets);
  });

  it("train norms, biases, or both beside the adapter, and no matrix", () => {
    const config = gpt2Config(TINY_SHAPE);
    const trained = (...extras: ("norms" | "biases")[]) => [...loraPlan(config, loraSettings({ extras })).extras];
    const named = (pattern: RegExp) => tensorTable(config).flatMap(({ name }) => (pattern.test(name) ? [name] : []));
    assert.deepEqual(trained(), []);
    assert.deepEqual(trained("norms"), named(/ln_/));
    assert.deepEqual(trained("biases"), named(/\.bias$/));
    assert.deepEqual(trained("norms", "biases"), named(/ln_|\.bias$/));
  });

  it("are refused out of range", () => {
    assert.throws(() => loraSettings({ rank: 0 }), /rank: expected an integer from 1/);
    assert.throws(() => loraSettings({ alpha: -1 }), /alpha: expected a positive number/);
    assert.throws(() => loraSettings({ dropout: 1 }), /dropout/);
    assert.throws(() => loraSettings({ extras: ["wte" as never] }), /extras: expected norms or biases, got wte/);
    assert.throws(() => parseTargets(["lm_head"]), /expected attn.c_attn, .*all-linear, got lm_head/);
    assert.throws(() => parseTargets([]), /got none/);
  });
});
