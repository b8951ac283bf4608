/** Training with matrix products in bf16. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { initialTensors } from "../../src/architectures/init.js";
import { trainProgram } from "../../src/architectures/programs.js";
import type { Backend } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import { specOf } from "../../src/program/ops.js";
import type { Precision } from "../../src/program/precision.js";
import type { TrainEvent } from "../../src/train/events.js";
import { finetune } from "../../src/train/finetune.js";
import { ModelTrainer } from "../../src/train/model-trainer.js";
import { resumedSettings, trainSettings } from "../../src/train/settings.js";
import { assertClose } from "../helpers/compare.js";
import { seededTokens } from "../helpers/seeded-weights.js";
import { curveOf, nativeOrReason, TINY_TEXT, tinyData, trainTiny, weightsOf } from "../helpers/tiny-run.js";

const CONFIG = gpt2Config({ vocabSize: 61, nCtx: 11, nEmbd: 20, nLayer: 2, nHead: 2, nInner: 50 });
const T = CONFIG.nCtx;
const BF16 = { precision: "bf16" } as const;
const QUIET = { valEvery: 0, sampleEvery: 0 };

let dir: string;
let data: string;
before(async () => {
  dir = mkdtempSync(join(tmpdir(), "gpt2-precision-"));
  data = await tinyData(join(dir, "data"));
});
after(() => rmSync(dir, { recursive: true, force: true }));

/** Gradients and losses of a step on seeded tokens. */
async function firstStep(backend: Backend, precision: Precision) {
  const settings = trainSettings({ batchSize: 3, seqLength: T, precision });
  const model = await ModelTrainer.create(backend, CONFIG, settings);
  for (const [name, values] of initialTensors(CONFIG, settings)) model.weights.get(name)!.write(values);
  await model.zeroGradients();
  const { batches, targets } = model.fillStep(0, (_, batch) => {
    batch.tokens.set(seededTokens(CONFIG, 5, 1, 3 * T));
    batch.targets.set(seededTokens(CONFIG, 5, 2, 3 * T));
    return 3 * T;
  });
  const loss = await model.accumulate(0, 0, batches[0]!, targets);
  return { loss: loss / targets, grads: await model.grads.read() };
}

describe("a step in bf16", () => {
  it("rounds the factors of every matrix product, and nothing else", () => {
    const [plain, rounded] = (["f32", "bf16"] as const).map((precision) => trainProgram(CONFIG, 4, { precision }));
    for (const [i, { kind, scalars }] of rounded!.ops.entries()) {
      const names = Object.keys(specOf(kind).scalars);
      assert.deepEqual(
        scalars,
        plain!.ops[i]!.scalars.map((value, j) => (names[j] === "bf16" ? true : value)),
      );
      assert.equal(names.includes("bf16"), /^(linear|attention)/.test(kind), kind);
    }
  });

  it("equals the reference on every backend, and is close to f32", async (t) => {
    const reference = await referenceBackend({ precision: "f64" });
    const [exact, want] = [await firstStep(reference, "f32"), await firstStep(reference, "bf16")];
    assert.notDeepEqual(want.grads, exact.grads);
    assertClose("loss in bf16 and in f32", [want.loss], [exact.loss], { relative: 1e-3 });
    assertClose("gradients in bf16 and in f32", want.grads, exact.grads, { relative: 2e-2 });
    const native = await nativeOrReason();
    if (typeof native === "string") t.diagnostic(native);
    for (const backend of [await wasmBackend({ threads: 1 }), ...(typeof native === "string" ? [] : [native])]) {
      const got = await firstStep(backend, "bf16");
      assertClose(`${backend.description}: loss`, [got.loss], [want.loss], { relative: 1e-5 });
      // The reference does not round within attention; and a factor that rounds to the other neighbour changes its
      // products by a 256th.
      assertClose(`${backend.description}: gradients`, got.grads, want.grads, { relative: 5e-3 });
    }
  });
});

describe("a run in bf16", () => {
  it("resumes bit for bit after a stop, on any number of threads, and keeps its precision", async () => {
    const [whole, stopped] = [join(dir, "whole"), join(dir, "stopped")];
    await trainTiny({ data, out: whole, settings: { ...BF16, steps: 8 } });
    const stop = new AbortController();
    const onPass = ({ step }: { step: number }) => {
      if (step === 5) stop.abort();
    };
    const threads = await nativeOrReason({ threads: 3 });
    const backend = typeof threads === "string" ? {} : { backend: threads };
    await trainTiny({ data, out: stopped, signal: stop.signal, onPass, settings: { ...BF16, steps: 8 }, ...backend });
    const precisionAt = (step: number): string => {
      const state = readFileSync(join(stopped, `checkpoints/step-0000000${step}/trainer.json`), "utf8");
      return (JSON.parse(state) as { settings: { precision: string } }).settings.precision;
    };
    assert.equal(precisionAt(5), "bf16");
    await trainTiny({ out: stopped, resume: true });
    assert.deepEqual(curveOf(stopped), curveOf(whole));
    assert.deepEqual(weightsOf(stopped), weightsOf(whole));
    // Another precision is used only if it is named.
    await trainTiny({ out: stopped, resume: true, settings: { precision: "f32", steps: 9 } });
    assert.equal(precisionAt(9), "f32");
  });

  it("learns like one in f32", async () => {
    const losses = async (precision: Precision) => {
      const out = join(dir, `learns-${precision}`);
      await trainTiny({ data, out, settings: { ...QUIET, dropout: 0, precision } });
      return (curveOf(out) as { loss: number }[]).map(({ loss }) => loss);
    };
    const [f32, bf16] = [await losses("f32"), await losses("bf16")];
    assert.notDeepEqual(bf16, f32);
    assertClose("last loss", bf16.slice(-1), f32.slice(-1), { relative: 5e-3 });
  });

  it("trains an adapter", async () => {
    const native = await nativeOrReason();
    const backend = typeof native === "string" ? await referenceBackend() : native;
    const losses: number[][] = [];
    for (const precision of ["f32", "bf16"] as const) {
      const events: TrainEvent[] = [];
      const options = { backend, from: join(dir, "whole", "model"), data: TINY_TEXT, lora: { rank: 4 } };
      const settings = { ...QUIET, steps: 4, batchSize: 2, precision };
      const trainer = await finetune({ ...options, out: join(dir, `adapter-${precision}`), settings });
      for await (const event of trainer.run()) events.push(event);
      losses.push(events.flatMap((event) => (event.type === "step" ? [event.loss] : [])));
    }
    assert.notDeepEqual(losses[1], losses[0]);
    assertClose("losses", losses[1]!, losses[0]!, { relative: 1e-3 });
  });

  it("refuses other precisions, and defaults to f32", () => {
    assert.throws(() => trainSettings({ precision: "f16" as Precision }), /precision: expected f32 or bf16, got f16/);
    const { precision: _, ...older } = trainSettings({ batchSize: 4 });
    const resumed = resumedSettings(older as ReturnType<typeof trainSettings>, { precision: "f32" }, 0);
    assert.equal(resumed.precision, "f32");
  });
});
