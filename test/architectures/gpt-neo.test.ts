/** GPT-Neo against Hugging Face transformers (test/fixtures/gpt-neo/README.md): logits, gradients, greedy continuations. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gptNeoConfig } from "../../src/architectures/gpt-neo/config.js";
import { loraTargets } from "../../src/architectures/lora.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { fillLast, TokenArrays } from "../../src/architectures/token-inputs.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { openAdapter } from "../../src/pretrained/peft/open.js";
import { trainFlopsPerToken } from "../../src/train/flops.js";
import { allBackends, BoundModel, mean } from "../helpers/bound-model.js";
import { assertClose } from "../helpers/compare.js";
import { GPT_NEO_CASES, GPT_NEO_FIXTURES, GPT_NEO_SEED } from "../helpers/gpt-neo-fixtures.js";
import { readTensorsAt } from "../helpers/peft-fixtures.js";
import { seededTensors } from "../helpers/seeded-weights.js";

/**
 * transformers computes GPT-Neo's attention weights in single precision even in a double-precision model, so the
 * expected values have that rounding (1e-7 relative to the largest value of a tensor), and our results in double
 * precision show it.
 */
const DOUBLE = { tensor: { relative: 1e-6, floor: 1e-2 }, loss: { relative: 6e-9 } };
const SINGLE = { tensor: { relative: 1e-5, floor: 1e-2 }, loss: { relative: 2.5e-7 } };

for (const { name, config, batch: B, length: T, inputs, targets, loss, logits, gradients } of GPT_NEO_CASES) {
  describe(`a GPT-Neo with ${name}`, () => {
    for (const [backend, makeBackend] of allBackends()) {
      const tolerance = backend.endsWith("f64") ? DOUBLE : SINGLE;
      for (const recompute of [false, true]) {
        const how = recompute ? ", activations recomputed" : "";
        it(`gives every logit, the loss and every gradient of transformers, on ${backend}${how}`, async () => {
          const model = new BoundModel(await makeBackend(), config, { B, T, recompute });
          for (const [spec, data] of seededTensors(config, GPT_NEO_SEED)) model.setWeights([[spec.name, data]]);
          model.setBatch(inputs, targets);
          assertClose("logits", await model.logits(), logits, tolerance.tensor, [B, T, config.vocabSize]);
          assertClose("loss", [mean(await model.train())], [loss], tolerance.loss);
          for (const { name, shape } of tensorTable(config)) {
            const want = gradients.get(name)!;
            assertClose(`gradient of ${name}`, await model.gradient(name), want, tolerance.tensor, shape);
          }
        });
      }
    }
  });
}

describe("an adapter of a GPT-Neo", () => {
  const { config, batch: B, length: T, inputs, targets } = GPT_NEO_CASES[0]!;
  const folder = `${GPT_NEO_FIXTURES}/adapter`;
  const expected = readTensorsAt(folder, "expected.safetensors");

  for (const [backend, makeBackend] of allBackends()) {
    it(`has PEFT's gradients, on ${backend}`, async () => {
      const adapter = openAdapter(folder, config);
      const lora = { ranks: adapter.ranks, dropout: 0, scaleOf: (layer: string) => adapter.scales.get(layer)! };
      const model = new BoundModel(await makeBackend(), config, { B, T, lora });
      for (const [spec, data] of seededTensors(config, GPT_NEO_SEED)) model.setWeights([[spec.name, data]]);
      for (const [name, tensor] of adapter.tensors) {
        const values = new Float32Array(numel(tensor.shape));
        tensor.readInto(values);
        model.setWeights([[name, values]]);
      }
      adapter.close();
      model.setBatch(inputs, targets);
      await model.train();
      assert.equal(model.trained.length, expected.size - 1);
      const { tensor } = backend.endsWith("f64") ? DOUBLE : SINGLE;
      for (const { name, shape } of model.trained) {
        const want = expected.get(`grad.${name}`)!;
        assertClose(`gradient of ${name}`, await model.gradient(name), want, tensor, shape);
      }
    });
  }
});

describe("a GPT-Neo's configuration", () => {
  it("alternates global and local attention by default", () => {
    const { attentionLayers, windowSize, nCtx } = gptNeoConfig({ nLayer: 3 });
    assert.deepEqual(attentionLayers, ["global", "local", "global"]);
    assert.deepEqual([windowSize, nCtx], [256, 2048]);
  });

  it("is refused if the types of attention are not one for each layer, or the window is empty", () => {
    assert.throws(() => gptNeoConfig({ nLayer: 2, attentionLayers: ["global"] }), {
      name: "ConfigError",
      message: /attentionLayers: expected "global" or "local" for each of 2 layers, got 1 of them/,
    });
    assert.throws(() => gptNeoConfig({ nLayer: 1, attentionLayers: ["sparse" as "local"] }), /got sparse/);
    assert.throws(() => gptNeoConfig({ windowSize: 0 }), /windowSize: expected a positive integer, got 0/);
  });

  it("names the layers that can be adapted as its files do", () => {
    const targets = loraTargets({ architecture: "gpt-neo" });
    const names = tensorTable(gptNeoConfig({ nLayer: 1 })).map(({ name }) => name);
    for (const target of targets) assert.ok(names.includes(`h.0.${target}.weight`), target);
    assert.equal(targets.length, 6);
  });
});

describe("a local layer", () => {
  const config = gptNeoConfig({ vocabSize: 9, nCtx: 10, nEmbd: 4, nHead: 1, nLayer: 2, windowSize: 3 });

  it("sees only the newest keys of each text, wherever its rows are", async () => {
    const inputs = new TokenArrays(await referenceBackend(), config, 8);
    // Two texts of four and two tokens, the first continued at row 20 of a cache.
    const columns = {
      tokens: new Int32Array(6),
      positions: Int32Array.of(4, 5, 6, 7, 0, 1),
      first: Int32Array.of(20, 20, 20, 20, 30, 30),
      last: Int32Array.of(24, 25, 26, 27, 30, 31),
    };
    inputs.write(columns, 6);
    assert.deepEqual([...(await inputs.bindings["first.3"]!.read(0, 6))], [22, 23, 24, 25, 30, 30]);
    assert.deepEqual([...(await inputs.bindings.first!.read(0, 6))], [...columns.first]);
  });

  it("has no separate column if its window holds the context", async () => {
    const wide = new TokenArrays(await referenceBackend(), gptNeoConfig({ ...config, windowSize: 10 }), 4);
    assert.deepEqual(Object.keys(wide.bindings), ["tokens", "positions", "first", "last"]);
  });

  it("takes fewer operations in training", () => {
    const perKey = 12 * config.nEmbd;
    // Ten tokens see 55 keys in a global layer, and 1 + 2 + 8 · 3 = 27 in a layer with a window of three.
    const global = gptNeoConfig({ ...config, attentionLayers: ["global", "global"] });
    const difference = trainFlopsPerToken(global, 10) - trainFlopsPerToken(config, 10);
    assert.ok(Math.abs(difference - (perKey * (55 - 27)) / 10) < 1e-9);
  });
});

describe("the last token that each token sees", () => {
  it("is itself", () => {
    const last = new Int32Array(5);
    fillLast(gptNeoConfig(), Int32Array.of(0, 0, 2, 2, 2), last, 5);
    assert.deepEqual([...last], [0, 1, 2, 3, 4]);
  });
});
