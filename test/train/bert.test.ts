/** Pre-training a BERT with the trainer: it learns, resumes bit for bit, and its model fills masks. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { bertConfig } from "../../src/architectures/bert/config.js";
import { BERT } from "../../src/bert.js";
import { compare } from "../../src/compare/compare.js";
import { GPT2 } from "../../src/gpt2.js";
import type { TrainEvent } from "../../src/train/events.js";
import { finetune } from "../../src/train/finetune.js";
import { hostBatch } from "../../src/train/host-batch.js";
import { trainSettings } from "../../src/train/settings.js";
import { Trainer } from "../../src/train/trainer.js";
import { TrainingData } from "../../src/train/training-data.js";
import { bertFolder } from "../helpers/bert-fixtures.js";
import { anyBackend, TINY_SHAPE, tinyData } from "../helpers/tiny-run.js";

const folder = mkdtempSync(join(tmpdir(), "bert-train-"));
after(() => rmSync(folder, { recursive: true }));
const data = await tinyData(join(folder, "data"));
const { vocabSize } = TINY_SHAPE;
const config = bertConfig({ ...TINY_SHAPE, vocabSize: vocabSize + 4, nInner: 60 });
const settings = {
  batchSize: 4,
  batchTokens: 192,
  steps: 30,
  lr: 5e-3,
  warmupSteps: 3,
  valEvery: 15,
  valBatches: 4,
  saveEvery: 10,
  seed: 3,
};

async function train(out: string, steps: number, more: object = {}, resume = false): Promise<TrainEvent[]> {
  const backend = await anyBackend();
  const given = resume ? { resume: true } : { config, data, settings: { ...settings, ...more } };
  const trainer = await Trainer.create({ backend, out: join(folder, out), ...given });
  const events: TrainEvent[] = [];
  const stop = new AbortController();
  for await (const event of trainer.run(stop.signal)) {
    events.push(event);
    if (event.type === "step" && event.step === steps && steps < settings.steps) stop.abort();
  }
  return events;
}

const losses = (events: readonly TrainEvent[]) =>
  events.flatMap((event) => (event.type === "step" ? [event.loss] : []));

/** Cats are good, dogs are bad. */
const lines = Array.from({ length: 60 }, (_, i) => {
  const good = i % 2 === 0;
  const text = `${["the", "a", "what"][i % 3]} ${good ? "cat" : "dog"} ${["sat", "was", "is"][(i >> 1) % 3]} on the mat`;
  return JSON.stringify({ text, label: good ? "good" : "bad" });
});

describe("fine-tuning a BERT for labels", () => {
  it("learns them, with WordPiece and a pooler", async () => {
    const file = join(folder, "labels.jsonl");
    writeFileSync(file, `${lines.join("\n")}\n`);
    const out = join(folder, "labels");
    const trainer = await finetune({
      backend: await anyBackend(),
      from: bertFolder("masked"),
      data: file,
      out,
      task: "classify",
      settings: { steps: 40, batchSize: 16, seqLength: 16, lr: 2e-2, valEvery: 20, seed: 1, patience: 0 },
    });
    const reports: unknown[] = [];
    for await (const event of trainer.run()) if (event.type === "validation") reports.push(event.report);
    assert.equal(reports.length, 2);
    await using model = await BERT.load(join(out, "model"));
    assert.deepEqual(model.labels, ["bad", "good"]);
    const found = await model.classify(["the cat sat on the mat", "a dog is on the mat"], { topK: 1 });
    assert.deepEqual(
      found.map(([best]) => best!.label),
      ["good", "bad"],
    );
    assert.ok(existsSync(join(out, "model", "vocab.txt")));
    // Of the pre-training's outputs only the one that the head reads remains: a new pooler.
    assert.deepEqual([model.config.pooler, model.config.maskedTokens], [true, false]);
  });

  it("is for labels only: there is no text to generate", async () => {
    const text = join(folder, "text.txt");
    writeFileSync(text, "a cat sat\n");
    const options = { backend: await anyBackend(), from: bertFolder("masked"), data: text, out: join(folder, "none") };
    await assert.rejects(finetune(options), /which reads whole texts: expected task classify or regress/);
  });
});

describe("pre-training a BERT", () => {
  it("lowers the loss, and resumes bit for bit", async () => {
    const whole = losses(await train("whole", 30, { dropout: 0.1 }));
    const before = losses(await train("parts", 13, { dropout: 0.1 }));
    const rest = losses(await train("parts", 30, {}, true));
    assert.deepEqual([...before, ...rest], whole);
    const mean = (part: readonly number[]) => part.reduce((sum, x) => sum + x, 0) / part.length;
    assert.ok(mean(whole.slice(-5)) < mean(whole.slice(0, 5)) - 0.5);
  });

  it("makes a model that fills masks, tells next sentences and scores, with the data's tokenizer", async () => {
    await using model = await BERT.load(join(folder, "whole", "model"));
    assert.equal(model.config.vocabSize, vocabSize + 4);
    const filled = await model.fillMask("Alice [MASK] the Queen", { topK: 3 });
    // The mask takes the space before it, which belongs to the tokens that it replaces.
    const tokens = ({ ids }: { ids: Uint32Array }): string[] => Array.from(ids, (id) => model.tokenizer!.decode([id]));
    const masked = tokens(model.tokenizer!.encode("Alice [MASK] the Queen", { allowedSpecial: "all" }));
    assert.ok(!masked[masked.indexOf("[MASK]") - 1]!.endsWith(" "), masked.join("|"));
    await using writer = await GPT2.load();
    const { blank } = await compare(writer, model, "Alice [MASK] the Queen", { candidates: ["a", "the"], generate: 0 });
    assert.deepEqual(blank!.map(({ word }) => word).sort(), [" a", " the"]);
    assert.equal(filled.length, 3);
    assert.match(filled[0]!.sequence, /^Alice.* the Queen$/);
    const p = await model.nextSentence("Alice looked up.", "She ran.");
    assert.ok(p > 0 && p < 1);
    const [good, bad] = await model.score(["the Queen said", "Queen the said zzz"]);
    assert.ok(good!.pseudoLogLikelihood > bad!.pseudoLogLikelihood);
    assert.equal(good!.logprobs.length, good!.tokens.length);
  });

  it("makes pairs of texts as in the paper, the same for the same seed and pass", () => {
    const full = trainSettings({ ...settings, seqLength: 24 });
    const open = (more: object = {}) => TrainingData.open(data, config, { ...full, ...more });
    const fill = (source: TrainingData, pass: number) => {
      const batch = hostBatch(96);
      batch.next.fill(-1);
      batch.targets.fill(-1);
      return { batch, counted: source.fillTraining(pass, batch) };
    };
    const [a, b] = [open(), open()];
    const [cls, sep] = [vocabSize + 1, vocabSize + 2];
    let [follows, all] = [0, 0];
    for (let pass = 0; pass < 40; pass++) {
      const { batch, counted } = fill(a, pass);
      assert.deepEqual(fill(b, pass), { batch, counted });
      for (let start = 0; start < 96; start += 24) {
        const row = batch.tokens.subarray(start, start + 24);
        const types = batch.tokenTypes.subarray(start, start + 24);
        assert.deepEqual([row[0], row[23]], [cls, sep]);
        // Masks may also draw a separator at random; the one between the texts is where the types change.
        assert.equal(row[types.indexOf(1) - 1], sep);
        assert.equal(batch.targets.subarray(start, start + 24).filter((target) => target >= 0).length, 3);
        follows += batch.next[start] === 0 ? 1 : 0;
        all++;
      }
      assert.equal(counted, 12);
    }
    assert.ok(Math.abs(follows - all / 2) < 4 * Math.sqrt(all / 4), `${follows} of ${all}`);
    a.close();
    b.close();
  });

  it("gives each text the requested number of masks", () => {
    const full = trainSettings({ ...settings, seqLength: 24, staticMasks: 1 });
    const source = TrainingData.open(data, bertConfig({ ...config, nextSentence: false }), full);
    // The same window recurs in another epoch, at another position.
    const masks = new Map<string, string>();
    let repeated = 0;
    for (let pass = 0; pass < 600; pass++) {
      const batch = hostBatch(96);
      batch.targets.fill(-1);
      source.fillTraining(pass, batch);
      for (let start = 0; start < 96; start += 24) {
        const [tokens, targets] = [batch.tokens.slice(start, start + 24), batch.targets.slice(start, start + 24)];
        const text = tokens.map((token, n) => (targets[n]! >= 0 ? targets[n]! : token)).join();
        const mask = targets.join();
        if (masks.has(text)) {
          repeated++;
          assert.equal(masks.get(text), mask);
        }
        masks.set(text, mask);
      }
    }
    assert.ok(repeated > 0);
    source.close();
  });

  it("is refused sequences too short, and next sentences with one text a pass", () => {
    const open = (more: object) =>
      TrainingData.open(data, config, trainSettings({ ...settings, batchTokens: 0, ...more }));
    assert.throws(() => open({ seqLength: 12, batchSize: 4 }), /seqLength: expected at least 16, got 12/);
    assert.throws(() => open({ seqLength: 24, batchSize: 1 }), /next sentences: batchSize: expected at least 2, got 1/);
  });
});
