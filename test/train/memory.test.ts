import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { GPT2_PRESETS, type GPT2Preset, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { parameterCount, tensorTable } from "../../src/architectures/registry.js";
import { heldAs } from "../../src/architectures/weight-types.js";
import type { WeightType } from "../../src/dtype/dtype.js";
import { OutOfMemoryError } from "../../src/errors.js";
import { loraSettings } from "../../src/train/lora-settings.js";
import { formatMemory, memoryParts, trainMemory } from "../../src/train/memory.js";
import { trainSettings } from "../../src/train/settings.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { nativeOrReason } from "../helpers/tiny-run.js";

const GIB = 2 ** 30;
const unlimited = { limit: Number.POSITIVE_INFINITY };

describe("the memory plan", () => {
  it("for 124M at B = 4, T = 1024 is below 8 GiB, and computed instantly", () => {
    const plan = trainMemory(
      gpt2Config("gpt2"),
      trainSettings({ batchSize: 4, seqLength: 1024, dropout: 0.1 }),
      unlimited,
    );
    assert.ok(plan.total < 8 * GIB, formatMemory(plan.total));
    assert.ok(plan.total > 16 * 124_439_808 + 4 * 4096 * 12 * (8 * 768 + 2 * 3072));
  });

  it("is the sum of its parts", () => {
    for (const name of Object.keys(GPT2_PRESETS) as GPT2Preset[]) {
      const config = gpt2Config(name);
      const plan = trainMemory(config, trainSettings({ batchSize: 1 }), unlimited);
      const { frozen, parameters, gradients, optimizer, activations, validation, samples, total } = plan;
      assert.equal(frozen, 0);
      assert.equal(total, parameters + gradients + optimizer + activations + validation + samples);
      // Tensors start on cache lines.
      assert.ok(parameters >= 4 * parameterCount(config) && parameters < 4 * parameterCount(config) + 64 * 16 * 50);
    }
  });

  it("leaves out validations and samples that never happen, and names its parts", () => {
    const plan = trainMemory(
      gpt2Config({ nLayer: 1, nEmbd: 64, nHead: 1 }),
      trainSettings({ valEvery: 0, sampleEvery: 0 }),
      unlimited,
    );
    assert.equal(plan.validation, 0);
    assert.match(memoryParts(plan), /^parameters, gradients and optimizer [\d.]+ MiB, activations [\d.]+ MiB$/);
  });

  it("is refused with its figure if it does not fit", () => {
    const make = (batchSize: number, limit: number) => () =>
      trainMemory(gpt2Config("gpt2"), trainSettings({ batchSize }), { limit });
    assert.throws(make(4, 4 * GIB), (error: Error) => {
      assert.ok(error instanceof OutOfMemoryError);
      assert.match(
        error.message,
        /expected at most 4.00 GiB, the memory available, got a plan of 4.\d\d GiB \(parameters/,
      );
      assert.match(error.message, /Lower the batch size/);
      return true;
    });
    assert.doesNotThrow(make(2, 4 * GIB));
  });

  it("for an adapter to 124M at T = 1024 is below 2 GiB, and to 1.5B in q8_0 below 12 GiB, also with recomputation", {
    skip: LIKE_OTHERS,
  }, () => {
    const plan = (name: GPT2Preset, settings: object, dtype: WeightType) => {
      const config = gpt2Config(name);
      const types = new Map(tensorTable(config).map((spec) => [spec.name, heldAs(spec, dtype)]));
      return trainMemory(config, trainSettings({ batchSize: 1, ...settings }), {
        ...unlimited,
        lora: loraSettings(),
        types,
      });
    };
    const small = plan("gpt2", {}, "f32");
    assert.ok(small.total < 2 * GIB, formatMemory(small.total));
    assert.match(
      memoryParts(small),
      /^frozen weights 474.7 MiB, adapter, its gradients and optimizer 18.0 MiB, activations/,
    );
    const again = plan("gpt2", { recompute: 1 }, "f32");
    assert.ok(again.total < 0.9 * GIB, formatMemory(again.total));
    assert.ok(again.activations < small.activations / 4);
    const large = plan("gpt2-xl", { recompute: 1 }, "q8_0");
    assert.ok(large.frozen > 1.5e9 * (34 / 32) && large.frozen < 1.6 * GIB, formatMemory(large.frozen));
    assert.ok(large.total < 3 * GIB, formatMemory(large.total));
    assert.ok(plan("gpt2-xl", {}, "q8_0").total < 12 * GIB);
  });

  it("suggests remedies if it does not fit", () => {
    const make = (settings: object, options: object) => () =>
      trainMemory(gpt2Config("gpt2"), trainSettings({ batchSize: 4, ...settings }), { limit: 2 ** 29, ...options });
    assert.throws(make({}, {}), /or recompute activations, or train an adapter \(LoRA\) only/);
    assert.throws(
      make({ recompute: 1 }, { lora: loraSettings() }),
      /plan of .*or hold the frozen weights in a smaller type$/,
    );
  });

  it("refuses absurd sizes at once, without recording their Programs", () => {
    const started = performance.now();
    const settings = trainSettings({ batchSize: 1024, seqLength: 2 ** 20 });
    assert.throws(() => trainMemory(gpt2Config("gpt2"), settings), /a plan of more than [\d.]+ GiB/);
    const deep = gpt2Config({ nLayer: 4096, nEmbd: 8192, nHead: 64 });
    assert.throws(() => trainMemory(deep, trainSettings()), /a plan of more than/);
    assert.throws(() => gpt2Config({ nLayer: 2 ** 30 }), /nLayer: expected at most 4096/);
    assert.ok(performance.now() - started < 5000);
  });

  const growing = Object.entries({ "all of a model": false, "an adapter, recomputing": true });
  for (const [what, lora] of growing) {
    it(`equals the growth of a process that trains ${what}`, { skip: LIKE_OTHERS }, async (t) => {
      const native = await nativeOrReason();
      if (typeof native === "string") return t.skip(native);
      const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", measure(lora)], {
        encoding: "utf8",
        env: { ...process.env, GPT2_THREADS: "2" },
      });
      assert.equal(status, 0, stderr);
      const { planned, grown } = JSON.parse(stdout) as { planned: number; grown: number };
      // Beside the plan: kernels' scratch, JavaScript's own heap, pages of 2 MiB not filled.
      const [least, most] = [0.9 * planned, 1.05 * planned + 48 * 2 ** 20];
      assert.ok(grown > least && grown < most, `planned ${formatMemory(planned)}, grown by ${formatMemory(grown)}`);
    });
  }
});

/** One step and one validation, and the growth of the resident set. */
const measure = (lora: boolean): string => `
  const at = (path) => import(new URL(path, ${JSON.stringify(import.meta.url)}));
  const { nativeBackend } = await at("../../src/backend/native/index.js");
  const { gpt2Config } = await at("../../src/architectures/gpt2/config.js");
  const { ModelTrainer } = await at("../../src/train/model-trainer.js");
  const { trainMemory } = await at("../../src/train/memory.js");
  const { trainSettings } = await at("../../src/train/settings.js");
  const { loraSettings } = await at("../../src/train/lora-settings.js");
  const { initialTensors } = await at("../../src/architectures/init.js");
  const config = gpt2Config({ vocabSize: 4000, nCtx: 128, nEmbd: 256, nHead: 4, nLayer: 4 });
  const settings = trainSettings({ batchSize: 8, seqLength: 128, sampleEvery: 0, recompute: ${lora ? 1 : 0} });
  const lora = ${lora} ? loraSettings() : undefined;
  const backend = await nativeBackend();
  await backend.peakFlops();
  const before = process.memoryUsage().rss;
  const base = lora && new Map();
  if (lora) for (const [name, values] of initialTensors(config, { seed: 1 })) {
    base.set(name, backend.alloc("f32", values.length));
    base.get(name).write(values);
  }
  const model = await ModelTrainer.create(backend, config, settings, lora && { lora, base });
  const fill = (pass, { tokens, targets }) => (tokens.fill(1), targets.fill(2), tokens.length);
  await model.step(0, fill);
  await model.evaluate(1, fill);
  console.log(JSON.stringify({ planned: trainMemory(config, settings, { lora }).total, grown: process.memoryUsage().rss - before }));`;
