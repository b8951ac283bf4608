/** BERT's training against Hugging Face transformers and torch autograd (test/fixtures/bert): losses, gradients, ten steps. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bertConfig } from "../../src/architectures/bert/config.js";
import { BERT_HUGGING_FACE } from "../../src/architectures/bert/formats/huggingface.js";
import { tensorTable } from "../../src/architectures/registry.js";
import type { Backend } from "../../src/backend/backend.js";
import { openCheckpoint } from "../../src/pretrained/open.js";
import { loadWordPiece } from "../../src/tokenizer/wordpiece/files.js";
import type { FillBatch } from "../../src/train/host-batch.js";
import { ModelTrainer } from "../../src/train/model-trainer.js";
import { trainSettings } from "../../src/train/settings.js";
import { BERT_EXPECTED, BERT_VALUES, bertFolder } from "../helpers/bert-fixtures.js";
import { allBackends } from "../helpers/bound-model.js";
import { assertClose } from "../helpers/compare.js";

const { pretraining } = BERT_EXPECTED;
const T = pretraining.ids[0]!.length;
const B = pretraining.ids.length;

/** AdamW as in the fixture's script: a constant learning rate, decay of matrices, gradients clipped. */
const SETTINGS = trainSettings({
  batchSize: B,
  seqLength: T,
  steps: 10,
  lr: 1e-2,
  minLr: 1e-2,
  warmupSteps: 0,
  beta1: 0.9,
  beta2: 0.999,
  weightDecay: 0.01,
  maxNorm: 1,
});

/** The fixture's batch; positions beyond the end of a text see only themselves. */
const fill: FillBatch = (_, batch) => {
  for (let n = 0; n < B * T; n++) {
    const [b, t] = [Math.floor(n / T), n % T];
    batch.tokens[n] = pretraining.ids[b]![t]!;
    batch.tokenTypes[n] = pretraining.types[b]![t]!;
    batch.targets[n] = pretraining.labels[b]![t]!;
    if (t === 0) batch.next[n] = pretraining.next[b]!;
    if (t >= pretraining.lengths[b]!) batch.first[n] = n;
  }
  return pretraining.labels.flat().filter((label) => label >= 0).length;
};

async function trainerOn(backend: Backend, recompute: 0 | 1 = 0, folder = "pretraining"): Promise<ModelTrainer> {
  const checkpoint = await openCheckpoint(bertFolder(folder));
  const { config, head } = checkpoint;
  const trainer = await ModelTrainer.create(backend, config, { ...SETTINGS, recompute }, undefined, head);
  for (const [name, tensor] of [...checkpoint.tensors, ...(head?.tensors ?? [])]) {
    const values = new Float32Array(trainer.trained.get(name)!.length);
    tensor.readInto(values);
    trainer.trained.get(name)!.write(values);
  }
  checkpoint.close();
  return trainer;
}

describe("a BERT in pre-training", () => {
  for (const [name, make] of allBackends()) {
    const tolerance = name.endsWith("f64") ? { relative: 1e-6, floor: 1e-2 } : { relative: 2e-5, floor: 1e-2 };
    for (const recompute of [0, 1] as const) {
      it(`has transformers' loss and gradients on ${name}${recompute ? ", activations recomputed" : ""}`, async () => {
        const trainer = await trainerOn(await make(), recompute);
        await trainer.zeroGradients();
        const { batches, targets } = trainer.fillStep(0, fill);
        const loss = (await trainer.accumulate(0, 0, batches[0]!, targets)) / targets;
        assertClose("loss", [loss], [pretraining.loss], { relative: 2e-6 });
        const grads = await trainer.grads.read();
        for (const { name, shape } of tensorTable(trainer.config)) {
          const { offset, size } = trainer.layout.offsets.get(name)!;
          const want = BERT_VALUES.get(`pretraining.grad.${BERT_HUGGING_FACE.fileName(name)}`)!;
          assertClose(`gradient of ${name}`, grads.subarray(offset, offset + size), want, tolerance, shape);
        }
      });
    }

    it(`has transformers' losses over ten steps on ${name}`, async () => {
      const trainer = await trainerOn(await make());
      const losses: number[] = [];
      for (let step = 0; step < 10; step++) losses.push((await trainer.step(step, fill))!.loss);
      assertClose("losses", losses, pretraining.losses, { relative: 1e-4 });
      const { loss } = (await trainer.evaluate(1, fill))!;
      assert.ok(loss < losses.at(-1)!);
    });
  }

  it("refuses more masked tokens than a pass predicts", async () => {
    const [, make] = allBackends()[0]!;
    const trainer = await trainerOn(await make());
    const all: FillBatch = (_, batch) => {
      batch.targets.fill(1);
      return B * T;
    };
    await assert.rejects(trainer.step(0, all), { name: "DataError", message: /at most \d+ masked tokens, got \d+/ });
  });
});

/** The texts of the fixture's batch, with the targets of a task. */
function fillTask(targetsOf: (b: number, t: number) => number, kind = ""): FillBatch {
  return (_, batch) => {
    let counted = 0;
    for (let b = 0; b < B; b++) {
      for (let t = 0; t < T; t++) {
        const n = b * T + t;
        // Texts are the same as in pre-training, without their masks.
        const label = pretraining.labels[b]![t]!;
        batch.tokens[n] = label >= 0 ? plainIds[b]![t]! : pretraining.ids[b]![t]!;
        batch.tokenTypes[n] = pretraining.types[b]![t]!;
        if (t >= pretraining.lengths[b]!) batch.first[n] = n;
        batch.targets[n] = targetsOf(b, t);
        if (batch.targets[n]! >= 0) counted++;
      }
    }
    // A span has a target for its start and one for its end, at the first two positions.
    return kind === "spans" ? 2 * B : counted;
  };
}

const plainIds = await (async () => {
  const tokenizer = await loadWordPiece(bertFolder("sequence"));
  return BERT_EXPECTED.pairs.map(([a, b]) => Array.from(tokenizer.encode([a, b]).ids));
})();

describe("a BERT with a head for a task", () => {
  const { sequence, tokens, spans } = BERT_EXPECTED;
  const tasks = [
    ["sequence", sequence.loss, (b: number, t: number) => (t === 0 ? sequence.targets[b]! : -1)],
    ["tokens", tokens.loss, (b: number, t: number) => tokens.targets[b]![t]!],
    ["spans", spans.loss, (b: number, t: number) => (t === 0 ? spans.starts[b]! : t === 1 ? spans.ends[b]! : -1)],
  ] as const;
  for (const [folder, loss, targetsOf] of tasks) {
    for (const [name, make] of allBackends()) {
      it(`has transformers' loss and gradients for ${folder} on ${name}`, async () => {
        const trainer = await trainerOn(await make(), 0, folder);
        await trainer.zeroGradients();
        const { batches, targets } = trainer.fillStep(0, fillTask(targetsOf, folder));
        const got = (await trainer.accumulate(0, 0, batches[0]!, targets)) / targets;
        assertClose("loss", [got], [loss], { relative: 2e-6 });
        const grads = await trainer.grads.read();
        for (const { name, shape } of trainer.table) {
          const { offset, size } = trainer.layout.offsets.get(name)!;
          const want = BERT_VALUES.get(`${folder}.grad.${BERT_HUGGING_FACE.fileName(name)}`)!;
          const tolerance = { relative: 2e-5, floor: 1e-2 };
          assertClose(`gradient of ${name}`, grads.subarray(offset, offset + size), want, tolerance, shape);
        }
      });
    }
  }
});

describe("a BERT's configuration", () => {
  it("defaults to BERT base's, and needs a pooler for next sentences", () => {
    const { nLayer, nEmbd, nInner, vocabSize, layerNormEpsilon } = bertConfig();
    assert.deepEqual([nLayer, nEmbd, nInner, vocabSize, layerNormEpsilon], [12, 768, 3072, 30522, 1e-12]);
    assert.throws(() => bertConfig({ pooler: false }), /nextSentence: expected a pooler with it/);
    assert.deepEqual([bertConfig({ tokenTypes: 0 }).tokenTypes, bertConfig({ tokenTypes: 127 }).tokenTypes], [0, 127]);
    assert.throws(() => bertConfig({ tokenTypes: 128 }), /tokenTypes: expected an integer from 0 to 127, got 128/);
    assert.throws(() => bertConfig({ tokenTypes: -1 }), /tokenTypes: expected an integer from 0 to 127/);
  });
});
