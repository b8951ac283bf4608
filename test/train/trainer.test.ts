/** A run's events and files, and its refusals. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { openCheckpoint, saveCheckpoint } from "../../src/pretrained/node.js";
import type { TrainEvent } from "../../src/train/events.js";
import { Trainer } from "../../src/train/trainer.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";
import { anyBackend, checkpointsOf, curveOf, TINY_SHAPE, tinyData, trainTiny, weightsOf } from "../helpers/tiny-run.js";
import { writeDatasetOf } from "../helpers/write-dataset.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-trainer-"));
let data: string;
let folders = 0;
const newFolder = (): string => join(dir, `run-${folders++}`);

before(async () => {
  data = await tinyData(join(dir, "data"));
});
after(() => rmSync(dir, { recursive: true }));

const QUIET = { valEvery: 0, sampleEvery: 0, dropout: 0 };

/** Events of one type. */
function ofType<T extends TrainEvent["type"]>(events: readonly TrainEvent[], type: T) {
  return events.filter((event) => event.type === type) as Extract<TrainEvent, { type: T }>[];
}

/** Steps of a run that learns, and the losses that it reaches on its text and on unseen text. */
const [STEPS, SEEN, UNSEEN] = TESTING_ALL ? [300, 3.3, 3.5] : [120, 4, 4.1];

describe("a run", () => {
  it(`learns: a little text to ${SEEN} nats per token, and unseen text to ${UNSEEN}`, async () => {
    const batch = { batchSize: 16, batchTokens: 16 * TINY_SHAPE.nCtx };
    const settings = {
      ...batch,
      steps: STEPS,
      warmupSteps: TESTING_ALL ? 20 : 10,
      dropout: 0,
      valEvery: STEPS / 3,
      valBatches: 0,
      sampleEvery: 0,
    };
    const events = await trainTiny({ data, out: newFolder(), settings: { ...settings, saveEvery: 1000 } });
    const losses = ofType(events, "step").map((event) => event.loss);
    // The first loss is that of a uniform guess.
    assert.ok(Math.abs(losses[0]! - Math.log(320)) < 0.1, `first loss ${losses[0]}`);
    const last = losses.slice(-10).reduce((sum, x) => sum + x, 0) / 10;
    assert.ok(last < SEEN, `mean of the last ten losses ${last}`);
    const held = ofType(events, "validation").map((event) => event.loss);
    assert.equal(held.length, 3);
    assert.ok(held.at(-1)! < UNSEEN, `held-out loss ${held}`);
  });

  it("reports typed events, and writes them to metrics.jsonl", async () => {
    const out = newFolder();
    const events = await trainTiny({ data, out, peakFlops: 1e12 });
    assert.deepEqual([events[0]!.type, events.at(-1)!.type], ["start", "end"]);
    const [start] = ofType(events, "start");
    assert.equal(start!.settings.batchTokens, 96);
    assert.equal(start!.parameters, 320 * 30 + 24 * 30 + 2 * (12 * 30 * 30 + 13 * 30) + 2 * 30);
    assert.ok(start!.memory.total > 16 * start!.parameters);
    const steps = ofType(events, "step");
    assert.deepEqual(
      steps.map(({ step, tokens }) => [step, tokens]),
      Array.from({ length: 40 }, (_, i) => [i + 1, 96 * (i + 1)]),
    );
    for (const { utilization, tokensPerSecond, seconds } of steps) {
      assert.ok(utilization! > 0 && utilization! < 1);
      assert.ok(Math.abs(tokensPerSecond * seconds - 96) < 1e-6);
    }
    const at = <T extends TrainEvent["type"]>(type: T) => ofType(events, type).map(({ step }) => step);
    assert.deepEqual(at("validation"), [7, 14, 21, 28, 35, 40]);
    assert.deepEqual(at("sample"), [10, 20, 30, 40]);
    const best = ofType(events, "validation").flatMap((event) => (event.best ? [event.step] : []));
    const saves = new Set([5, 10, 15, 20, 25, 30, 35, 40, ...best]);
    assert.deepEqual(
      at("checkpoint"),
      [...saves].sort((a, b) => a - b),
    );
    const [end] = ofType(events, "end");
    assert.ok(end!.finished && end!.model === join(out, "model"));
    const lines = readFileSync(join(out, "metrics.jsonl"), "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => ({ ...(JSON.parse(line) as object), time: undefined })),
      events.map((event) => ({ ...(JSON.parse(JSON.stringify(event)) as object), time: undefined })),
    );
  });

  it("reports bits per byte of the held-out text", async () => {
    const events = await trainTiny({ data, out: newFolder(), settings: { steps: 1, valBatches: 0, sampleEvery: 0 } });
    const { loss, bitsPerByte } = ofType(events, "validation")[0]!;
    const { tokens, bytes } = JSON.parse(readFileSync(join(data, "dataset.json"), "utf8")).splits.val;
    assert.equal(bitsPerByte, loss * (tokens / bytes / Math.LN2));
  });

  it("leaves a model with its tokenizer, which other code reads", async () => {
    const out = newFolder();
    await trainTiny({ data, out, settings: { ...QUIET, steps: 2 } });
    const checkpoint = await openCheckpoint(join(out, "model"));
    assert.deepEqual(checkpoint.config, gpt2Config(TINY_SHAPE));
    assert.equal(checkpoint.dtype, "f32");
    checkpoint.close();
    const tokenizer = readFileSync(join(data, "tokenizer.json"));
    assert.ok(readFileSync(join(out, "model", "tokenizer.json")).equals(tokenizer));
    assert.deepEqual(
      readdirSync(out).filter((name) => name.startsWith(".")),
      [],
    );
  });

  it("keeps the newest checkpoints and the best", async () => {
    const out = newFolder();
    // The learning rate is far too high, so validations after the first are worse.
    const settings = { ...QUIET, steps: 12, warmupSteps: 12, lr: 1, valEvery: 3, saveEvery: 2, keep: 2, maxNorm: 0 };
    const events = await trainTiny({ data, out, settings });
    const losses = ofType(events, "validation");
    const best = losses.reduce((a, b) => (b.loss < a.loss ? b : a)).step;
    assert.ok(best < 10, `best at ${best}`);
    assert.deepEqual(
      checkpointsOf(out),
      [best, 10, 12].map((n) => `step-${String(n).padStart(8, "0")}`),
    );
    assert.equal(ofType(events, "end")[0]!.best!.step, best);
  });

  it("is the same for the same seed, and different for another", async () => {
    const [a, b, c] = [newFolder(), newFolder(), newFolder()];
    const settings = { steps: 6, valEvery: 0 };
    await trainTiny({ data, out: a, settings });
    await trainTiny({ data, out: b, settings });
    await trainTiny({ data, out: c, settings: { ...settings, seed: 4 } });
    assert.deepEqual(curveOf(a), curveOf(b));
    assert.notDeepEqual(curveOf(a), curveOf(c));
  });

  it("is not affected by validations and samples", { skip: LIKE_OTHERS }, async () => {
    const [a, b] = [newFolder(), newFolder()];
    await trainTiny({ data, out: a, settings: { steps: 12, valEvery: 0, sampleEvery: 0 } });
    await trainTiny({ data, out: b, settings: { steps: 12, valEvery: 2, sampleEvery: 3 } });
    assert.ok(weightsOf(a).model.equals(weightsOf(b).model));
    assert.ok(weightsOf(a).optimizer.equals(weightsOf(b).optimizer));
  });

  it("validates held-out text shorter than a sequence", async () => {
    const small = await writeDatasetOf(newFolder(), { train: 200, val: 5 });
    const events = await trainTiny({ data: small, out: newFolder(), settings: { ...QUIET, steps: 1, valEvery: 1 } });
    const [validation] = ofType(events, "validation");
    assert.equal(validation!.tokens, 4);
    assert.ok(validation!.loss > 5 && validation!.loss < 7);
  });

  it("validates every whole window of the held-out text, the last pass not full", async () => {
    const some = await writeDatasetOf(newFolder(), { train: 200, val: 24 * 5 + 3 });
    const settings = { ...QUIET, steps: 1, valEvery: 1, valBatches: 0 };
    const events = await trainTiny({ data: some, out: newFolder(), settings });
    assert.equal(ofType(events, "validation")[0]!.tokens, 24 * 5);
  });

  it("continues training from a model's weights", async () => {
    const [a, b] = [newFolder(), newFolder()];
    await trainTiny({ data, out: a, settings: { ...QUIET, steps: 5 } });
    const from = join(a, "model");
    const events = await trainTiny({ data, out: b, from, config: {}, settings: { ...QUIET, steps: 1, lr: 0 } });
    assert.ok(weightsOf(b).model.equals(weightsOf(a).model), "a learning rate of 0 leaves the weights as they are");
    const [first] = ofType(events, "step");
    assert.ok(first!.loss < 5.5, `loss ${first!.loss} is that of a model that has learnt something`);
  });

  it("writes samples that begin with the prompt, also after resuming", async () => {
    const out = newFolder();
    const settings = { ...QUIET, steps: 2, sampleEvery: 1 };
    const events = await trainTiny({ data, out, settings, samplePrompt: "Alice " });
    const more = await trainTiny({ out, resume: true, settings: { steps: 3 } });
    const texts = ofType([...events, ...more], "sample").map(({ text }) => text);
    assert.equal(texts.length, 3);
    for (const text of texts) assert.ok(text.startsWith("Alice ") && text.length > 6, JSON.stringify(text));
    assert.notEqual(texts[0], texts[1]);
  });
});

describe("a run is refused", () => {
  const refused = (options: Parameters<typeof trainTiny>[0], message: RegExp) =>
    assert.rejects(trainTiny(options), message);

  it("without data, or with unsuitable data", async () => {
    const out = newFolder();
    await refused({ out }, /UsageError|training: expected data to train on, got none/);
    await refused({ data: join(dir, "nowhere"), out }, /opening data set .*nowhere.*no such file/);
    const empty = newFolder();
    mkdirSync(empty);
    await refused({ data: empty, out }, /expected token shards/);
    const small = await writeDatasetOf(newFolder(), { train: 24 });
    await refused({ data: small, out }, /expected more than 24 tokens, the sequence length, got 24/);
    assert.ok(!existsSync(out), "nothing is left behind");
  });

  it("with a vocabulary smaller than the data's", async () => {
    const config = { ...TINY_SHAPE, vocabSize: 300 };
    await refused(
      { data, out: newFolder(), config },
      /expected at most 300 tokens, the model's vocabulary, got a tokenizer of 320/,
    );
  });

  it("with ids beyond the vocabulary, naming shard and position", async () => {
    const damaged = newFolder();
    cpSync(data, damaged, { recursive: true });
    rmSync(join(damaged, "dataset.json"));
    rmSync(join(damaged, "tokenizer.json"));
    const shard = readFileSync(join(damaged, "train-00000.bin"));
    shard.fill(0xff, 1024);
    writeFileSync(join(damaged, "train-00000.bin"), shard);
    const settings = { ...QUIET, steps: 1 };
    await refused(
      { data: damaged, out: newFolder(), settings },
      /train-00000.bin: token \d+: expected an id below 320.*got 65535/,
    );
  });

  it("with a model of another vocabulary to start from", async () => {
    const a = newFolder();
    // More than the data's 320 tokens padded to a round number.
    await trainTiny({ data, out: a, config: { ...TINY_SHAPE, vocabSize: 391 }, settings: { ...QUIET, steps: 1 } });
    const from = join(a, "model");
    await refused(
      { data, out: newFolder(), from, config: {} },
      /data with its vocabulary, 391 tokens, got data with 320/,
    );
    await refused({ data, out: newFolder(), from, config: { nLayer: 3 } }, /nLayer: expected 2, the model's, got 3/);
  });

  it("when samples are requested without a tokenizer", async () => {
    const bare = newFolder();
    mkdirSync(bare);
    cpSync(join(data, "train-00000.bin"), join(bare, "train-00000.bin"));
    const settings = { ...QUIET, steps: 1, sampleEvery: 1 };
    await refused(
      { data: bare, out: newFolder(), settings },
      /expected a tokenizer.json beside the data.*vocabulary of 320/,
    );
    const { sampleEvery, ...silent } = settings;
    const trainer = await Trainer.create({
      backend: await anyBackend(),
      data: bare,
      out: newFolder(),
      config: TINY_SHAPE,
      settings: { ...silent, batchSize: 2 },
    });
    const types: string[] = [];
    for await (const { type } of trainer.run()) types.push(type);
    assert.deepEqual(types, ["start", "step", "checkpoint", "end"]);
  });

  it("with sequences longer than the context, or impossible settings", async () => {
    const out = newFolder();
    await refused({ data, out, settings: { seqLength: 25, batchTokens: 100 } }, /seqLength: expected at most 24/);
    await refused(
      { data, out, settings: { batchTokens: 100 } },
      /batchTokens: expected a multiple of .* = 48, got 100. The nearest is 96/,
    );
    await refused({ data, out, settings: { lr: -1 } }, /lr: expected a number from 0 to 1, got -1/);
    await refused(
      { data, out, settings: { dropout: Number.NaN } },
      /dropout: expected a number from 0 to 0.99, got NaN/,
    );
    await refused({ data, out, settings: { lr: 1e-4, minLr: 1e-3 } }, /minLr: expected at most lr = 0.0001/);
    await refused({ data, out, config: { ...TINY_SHAPE, nHead: 7 } }, /nHead: expected a divisor/);
  });

  it("where another run, or its model, already is", async () => {
    const out = newFolder();
    await trainTiny({ data, out, settings: { ...QUIET, steps: 3 } });
    await refused({ data, out }, /expected no run there, got one at step 3. Continue it with --resume/);
    rmSync(join(out, "checkpoints"), { recursive: true });
    await refused({ data, out }, /expected no run there, got a finished model/);
    await refused({ out: newFolder(), resume: true }, /expected a checkpoint there, got none/);
  });

  it("if it needs more memory than allowed, with the figure", async () => {
    const want = /expected at most 0.5 MiB, the memory available, got a plan of \d.\d MiB \(parameters, gradients and/;
    await refused({ data, out: newFolder(), memoryLimit: 2 ** 19 }, want);
  });

  it("while another is using the folder", async () => {
    const out = newFolder();
    const settings = { ...QUIET, steps: 4, saveEvery: 1 };
    await trainTiny({ data, out, settings });
    const inUse = /a folder that no other run is using, got process \d+ on .* in it/;
    const resumed = { out, resume: true, settings: { steps: 5 } };
    const held = await Trainer.create({ backend: await anyBackend(), ...resumed });
    const run = held.run();
    await run.next();
    await refused(resumed, inUse);
    await run.return();
    // A lock file that nobody holds, as a killed process leaves it.
    writeFileSync(join(out, ".lock"), "process 1 on another machine\n");
    await trainTiny(resumed);
    assert.ok(!existsSync(join(out, ".lock")));
  });

  it("where its checkpoint says that sequences are longer than the model's context", async () => {
    const out = newFolder();
    await trainTiny({ data, out, settings: { ...QUIET, steps: 2 } });
    const path = join(out, "checkpoints", readdirSync(join(out, "checkpoints"))[0]!, "trainer.json");
    const saved = JSON.parse(readFileSync(path, "utf8"));
    for (const seqLength of [25, 4096]) {
      const settings = { ...saved.settings, seqLength, batchSize: 1, batchTokens: seqLength };
      writeFileSync(path, JSON.stringify({ ...saved, settings }));
      await refused({ out, resume: true, settings: { steps: 4 } }, /seqLength: expected at most 24, .* got (25|4096)/);
    }
  });

  it("when another process has continued the run in the meantime", async () => {
    const out = newFolder();
    await trainTiny({ data, out, settings: { ...QUIET, steps: 2 } });
    const late = await Trainer.create({ backend: await anyBackend(), out, resume: true, settings: { steps: 6 } });
    await trainTiny({ out, resume: true, settings: { steps: 4 } });
    await assert.rejects(late.run().next(), /expected step 2, got step 4/);
  });

  it("when the data has changed", async () => {
    const out = newFolder();
    await trainTiny({ data, out, settings: { ...QUIET, steps: 1 } });
    const other = await writeDatasetOf(newFolder(), { train: 500 });
    await refused({ data: other, out, resume: true, settings: { steps: 2 } }, /expected \d+ training tokens, got 500/);
    const retokenized = newFolder();
    cpSync(data, retokenized, { recursive: true });
    writeFileSync(join(retokenized, "tokenizer.json"), readFileSync(join(other, "tokenizer.json")));
    await refused(
      { data: retokenized, out, resume: true, settings: { steps: 2 } },
      /the same tokenizer as before, got a different tokenizer/,
    );
  });
});

describe("a resumed run", () => {
  it("accepts new lengths and intervals, and refuses changes that would make it another run", async () => {
    const out = newFolder();
    await trainTiny({ data, out, settings: { ...QUIET, steps: 4 } });
    const resume = (settings: object) => trainTiny({ out, resume: true, settings });
    await assert.rejects(resume({ lr: 1e-3 }), /resuming: lr: expected 0.005, as the run was started with, got 0.001/);
    await assert.rejects(resume({ steps: 3 }), /steps: expected at least 4, the steps done, got 3/);
    await assert.rejects(
      trainTiny({ out, resume: true, config: { nLayer: 4 } }),
      /nLayer: expected 2, the model's, got 4/,
    );
    const events = await resume({ steps: 6, lr: 5e-3, valEvery: 1, saveEvery: 1 });
    assert.deepEqual(
      ofType(events, "validation").map(({ step }) => step),
      [5, 6],
    );
    assert.ok(ofType(events, "start")[0]!.resumed);
  });

  it("may split its steps into other passes: the same sequences, the same losses except for rounding", async () => {
    const [a, b] = [newFolder(), newFolder()];
    const stop = new AbortController();
    await trainTiny({ data, out: a, settings: { ...QUIET, steps: 8 } });
    await trainTiny(
      { data, out: b, signal: stop.signal, settings: { ...QUIET, steps: 8, saveEvery: 3 } },
      ({ type, step }) => {
        if (type === "checkpoint" && step === 3) stop.abort();
      },
    );
    await trainTiny({ out: b, resume: true, settings: { batchSize: 4 } });
    const losses = (out: string) => (curveOf(out) as { loss: number }[]).map(({ loss }) => loss);
    for (const [i, loss] of losses(a).entries())
      assert.ok(Math.abs(loss - losses(b)[i]!) < 1e-4 * loss, `step ${i + 1}`);
  });

  it("stops at a loss that is not a number, and leaves the last good checkpoint", async () => {
    const out = newFolder();
    await trainTiny({ data, out, settings: { ...QUIET, steps: 2 } });
    const path = join(out, "checkpoints", "step-00000002");
    // Finite weights that overflow in the first product.
    const checkpoint = await openCheckpoint(path);
    const tensors = [...checkpoint.tensors.values()].map((tensor) => {
      const data = new Float32Array(tensor.shape.reduce((n, d) => n * d, 1));
      tensor.readInto(data);
      if (tensor.name.endsWith("c_attn.weight")) data.fill(1e38);
      return { name: tensor.name, shape: tensor.shape, data };
    });
    checkpoint.close();
    await saveCheckpoint(path, { config: gpt2Config(TINY_SHAPE), tensors });
    const want =
      /training step 3: expected a finite loss and gradient norm, got loss NaN.*The last checkpoint is of step 2/;
    await assert.rejects(trainTiny({ out, resume: true, settings: { steps: 9, saveEvery: 1 } }), want);
    assert.deepEqual(checkpointsOf(out), ["step-00000002"]);
  });
});
