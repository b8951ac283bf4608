/** LoRA in the model: gradients, against central differences and against PEFT; recomputation; frozen weights. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { ModelConfig } from "../../src/architectures/config.js";
import { gptNeoConfig } from "../../src/architectures/gpt-neo/config.js";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { type LoraTarget, loraA, loraB, loraRanks, loraTargets } from "../../src/architectures/lora.js";
import { trainProgram } from "../../src/architectures/programs.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import { heldAs } from "../../src/architectures/weight-types.js";
import type { Backend } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { decodeValues, encodeValues, type WeightType } from "../../src/dtype/dtype.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { planMemory } from "../../src/program/plan.js";
import { RandomStream } from "../../src/util/random.js";
import { allBackends, type BatchShape, BoundModel, mean } from "../helpers/bound-model.js";
import { assertClose } from "../helpers/compare.js";
import { PEFT_BASE, PEFT_BATCH, readTensors } from "../helpers/peft-fixtures.js";
import { seededTensors, seededTokens } from "../helpers/seeded-weights.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

const LORA_TARGETS = loraTargets({ architecture: "gpt2" });

const CONFIG = gpt2Config({ vocabSize: 19, nCtx: 7, nEmbd: 10, nLayer: 2, nHead: 2, nInner: 23 });
const NEO = gptNeoConfig({ ...CONFIG, architecture: "gpt-neo", windowSize: 3 });
const VARIANT = gpt2Config({ ...CONFIG, activation: "silu", tieWordEmbeddings: false });
const BATCH = { B: 2, T: 5 };
const SEED = 11;
const KEY = 12345;
const SCALE = 0.75;

function adapter(
  targets: readonly LoraTarget[],
  rank: number,
  dropout = 0,
  config: ModelConfig = CONFIG,
): NonNullable<BatchShape["lora"]> {
  return { ranks: loraRanks(config, targets, rank), dropout, scaleOf: () => SCALE };
}

/** Random values everywhere: if B were zero, A would have no gradient. */
function bound(backend: Backend, shape: Partial<BatchShape>, config: ModelConfig = CONFIG): BoundModel {
  const model = new BoundModel(backend, config, { ...BATCH, ...shape });
  const tensors = [...seededTensors(config, SEED)];
  for (const [{ name }, values] of tensors)
    model.setWeights([[name, held(values, (shape.types?.get(name) ?? "f32") as WeightType)]]);
  for (const [i, spec] of model.trained.entries()) {
    if (!spec.name.includes("lora_")) continue;
    const random = new RandomStream(SEED, i);
    model.setWeights([[spec.name, Float64Array.from({ length: numel(spec.shape) }, () => 0.3 * random.normal())]]);
  }
  const N = BATCH.B * BATCH.T;
  model.setBatch(seededTokens(config, SEED, 1, N), seededTokens(config, SEED, 2, N));
  return model;
}

/** Values as an array of the dtype holds them. */
function held(values: Float32Array, type: WeightType): ArrayLike<number> {
  if (type === "f32") return values;
  const bytes = new Uint8Array(values.length * 4);
  encodeValues(type, values, bytes);
  return bytes.subarray(0, values.length * 2);
}

/** As in gradients.test.ts. */
const H = 1e-5;
const DIFFERENCE = { relative: 5e-8, floor: 1e-2 };
const PROBES = TESTING_ALL ? 8 : 3;

describe("every gradient of an adapter is the slope of the loss", () => {
  const cases: Record<string, Partial<BatchShape> & { config?: ModelConfig }> = {
    "c_attn alone": { lora: adapter(["attn.c_attn"], 3) },
    "every linear layer": { lora: adapter(LORA_TARGETS, 2) },
    "every linear layer, with dropout of both kinds": { lora: adapter(LORA_TARGETS, 3, 0.3), dropout: 0.2 },
    "mlp alone, dropout of its input, recomputed": {
      lora: adapter(["mlp.c_fc", "mlp.c_proj"], 5, 0.25),
      recompute: true,
    },
    "with layer norms and a bias": {
      lora: adapter(["attn.c_proj"], 1),
      extras: new Set(["h.0.ln_1.weight", "ln_f.bias", "h.1.mlp.c_fc.bias"]),
    },
    "another activation and a head of its own": { lora: adapter(LORA_TARGETS, 2), config: VARIANT },
    "another activation, scores by layer, a head of its own": {
      config: gpt2Config({ ...CONFIG, activation: "silu", scaleAttnByInverseLayerIdx: true, tieWordEmbeddings: false }),
      lora: adapter(LORA_TARGETS, 2, 0.1),
    },
    "another activation, recomputed": {
      config: gpt2Config({ ...CONFIG, activation: "gelu" }),
      lora: adapter(["mlp.c_fc"], 2),
      recompute: true,
    },
    "of a GPT-Neo, every linear layer": { config: NEO, lora: adapter(loraTargets(NEO), 2, 0, NEO) },
    "of a GPT-Neo, with dropout of both kinds, recomputed": {
      ...{ config: NEO, dropout: 0.2, recompute: true },
      lora: adapter(loraTargets(NEO), 3, 0.3, NEO),
    },
    "of a GPT-Neo, with layer norms and biases": {
      config: NEO,
      lora: adapter(["attn.attention.k_proj"], 1, 0, NEO),
      extras: new Set(["h.0.ln_1.weight", "h.1.attn.attention.out_proj.bias", "ln_f.bias"]),
    },
    "with dropout, recomputed": { lora: adapter(LORA_TARGETS, 2, 0.1), dropout: 0.25, recompute: true },
  };
  for (const [name, { config, ...shape }] of Object.entries(cases)) {
    it(name, async () => {
      const model = bound(await referenceBackend({ precision: "f64" }), shape, config);
      const loss = async (): Promise<number> => mean(await model.train(KEY));
      await loss();
      const random = new RandomStream(SEED);
      const gradients = new Map<string, ArrayLike<number>>();
      for (const { name } of model.trained) gradients.set(name, await model.gradient(name));
      for (const { name, shape } of model.trained) {
        const [got, want]: [number[], number[]] = [[], []];
        for (let probe = 0; probe < PROBES; probe++) {
          const i = random.below(numel(shape));
          const [value] = await model.parameter(name).read(i, 1);
          model.parameter(name).write([value! + H], i);
          const up = await loss();
          model.parameter(name).write([value! - H], i);
          const down = await loss();
          model.parameter(name).write([value!], i);
          got.push(gradients.get(name)![i]!);
          want.push((up - down) / (2 * H));
        }
        assertClose(`gradient of ${name}`, got, want, DIFFERENCE);
      }
    });
  }
});

describe("recomputation", () => {
  for (const [name, makeBackend] of allBackends()) {
    it(`gives the same bits: ${name}`, async () => {
      for (const shape of [{}, { dropout: 0.2 }, { lora: adapter(LORA_TARGETS, 2, 0.1) }]) {
        const backend = await makeBackend();
        const [kept, again] = [bound(backend, shape), bound(backend, { ...shape, recompute: true })];
        assert.deepEqual(await again.train(KEY), await kept.train(KEY));
        for (const { name } of kept.trained)
          assert.deepEqual(await again.gradient(name), await kept.gradient(name), name);
      }
    });
  }

  it("keeps one residual stream per layer and token", () => {
    const temp = (nLayer: number, recompute: boolean): number =>
      planMemory(trainProgram(gpt2Config({ ...CONFIG, nLayer }), 64, { recompute })).bytes;
    const { nEmbd: C, nInner: F } = CONFIG;
    const slack = 4 * 256;
    assert.ok(temp(9, true) - temp(8, true) <= 4 * 64 * C + slack, "recomputed");
    assert.ok(temp(9, false) - temp(8, false) > 4 * 64 * (8 * C + 2 * F), "kept");
  });
});

describe("frozen weights", () => {
  it("have no gradients, and nothing below the lowest adapter is run", () => {
    const ranks = new Map([["h.1.attn.c_proj", 2]]);
    const program = trainProgram(CONFIG, 10, { trained: new Set(), lora: { ranks, dropout: 0 } });
    const written = program.ops.flatMap(({ kind, name }) => (kind === "linearBackwardWeight" ? [name] : []));
    assert.deepEqual(written, ["h.1.attn.c_proj.lora0.B", "h.1.attn.c_proj.lora0.A"]);
    const backward = program.ops.filter(({ kind }) => kind.endsWith("Backward")).map(({ name }) => name);
    assert.deepEqual(backward, ["ln_f", "h.1.ln_2"]);
    assert.ok(!program.ops.some(({ kind }) => kind === "attentionBackward" || kind === "embeddingBackward"));
    const gradients = program.buffers.filter(({ name }) => name.startsWith("grad."));
    assert.deepEqual(
      gradients.map(({ name }) => name),
      [`grad.${loraA("h.1.attn.c_proj")}`, `grad.${loraB("h.1.attn.c_proj")}`],
    );
  });

  it("in f16 and bf16 give the gradients of their stored values", async () => {
    for (const type of ["f16", "bf16"] as const) {
      const types = new Map(tensorTable(CONFIG).map((spec) => [spec.name, heldAs(spec, type)]));
      const lora = adapter(LORA_TARGETS, 2);
      const packed = bound(await referenceBackend({ precision: "f64" }), { lora, types });
      const plain = bound(await referenceBackend({ precision: "f64" }), { lora });
      for (const [{ name, shape }, values] of seededTensors(CONFIG, SEED)) {
        if (types.get(name) !== type) continue;
        const rounded = new Float32Array(numel(shape));
        decodeValues(type, held(values, type) as Uint8Array, rounded);
        plain.setWeights([[name, rounded]]);
      }
      assert.deepEqual(await packed.train(), await plain.train());
      for (const { name } of plain.trained) assert.deepEqual(await packed.gradient(name), await plain.gradient(name));
    }
  });
});

/** Single precision through two layers; as in gradients.test.ts. */
const SINGLE = { relative: 2e-5, floor: 1e-7 };

describe("PEFT's gradients", () => {
  const batch = readTensors("batch.safetensors");
  const counted = batch.get("targets")!.filter((t) => t >= 0).length;
  let base: Map<string, Float32Array>;

  before(async () => {
    const checkpoint = await openCheckpoint(PEFT_BASE);
    base = new Map();
    for (const [name, tensor] of checkpoint.tensors) {
      const values = new Float32Array(numel(tensor.shape));
      tensor.readInto(values);
      base.set(name, values);
    }
    checkpoint.close();
  });

  const config = gpt2Config({ nLayer: 2, nHead: 4, nEmbd: 64, vocabSize: 512, nCtx: 64 });
  const shapes: Record<string, (name: string) => Partial<BatchShape>> = {
    "all-linear": () => ({ lora: { ranks: loraRanks(config, LORA_TARGETS, 4), dropout: 0, scaleOf: () => 2 } }),
    extras: () => ({
      lora: { ranks: loraRanks(config, ["attn.c_attn"], 2), dropout: 0, scaleOf: () => 2 },
      extras: new Set(tensorTable(config).flatMap(({ name }) => (/ln_|\.bias$/.test(name) ? [name] : []))),
    }),
  };

  for (const [backendName, makeBackend] of allBackends()) {
    it(`${backendName}: logits, loss and gradients`, async () => {
      for (const [name, shape] of Object.entries(shapes)) {
        const expected = readTensors(name, "expected.safetensors");
        const model = new BoundModel(await makeBackend(), config, { ...PEFT_BATCH, ...shape(name) });
        model.setWeights(base);
        for (const [key, values] of readTensors(name, "adapter_model.safetensors")) {
          if (!key.includes("original_module")) model.setWeights([[plainName(key), values]]);
        }
        model.setBatch(batch.get("tokens")!, batch.get("targets")!);
        const losses = Array.from(await model.train(0, 1 / counted));
        const total = losses.reduce((sum, x) => sum + x, 0);
        assertClose(`${name}: loss`, [total / counted], expected.get("loss")!, { relative: 2e-6 });
        for (const spec of model.trained) {
          const want = expected.get(`grad.${spec.name}`)!;
          assertClose(`${name}: gradient of ${spec.name}`, await model.gradient(spec.name), want, SINGLE, spec.shape);
        }
      }
    });

    it(`${backendName}: gradients of full fine-tuning on the same batch`, async () => {
      const model = new BoundModel(await makeBackend(), config, PEFT_BATCH);
      model.setWeights(base);
      model.setBatch(batch.get("tokens")!, batch.get("targets")!);
      await model.train(0, 1 / counted);
      const expected = readTensors("full.safetensors");
      for (const { name } of model.trained) {
        const [norm, sum, ...values] = expected.get(name)!;
        const got = Array.from(await model.gradient(name));
        const terms = got.reduce((total, x) => total + Math.abs(x), 0);
        assertClose(`norm of ${name}`, [Math.hypot(...got)], [norm!], { relative: 1e-5 });
        assert.ok(Math.abs(got.reduce((total, x) => total + x, 0) - sum!) < 1e-6 * terms, `sum of ${name}`);
        assertClose(
          name,
          got.filter((_, i) => i % 97 === 0),
          values,
          SINGLE,
        );
      }
    });

    it(`${backendName}: packed sequences have the same losses as alone`, async () => {
      const expected = readTensors("packed.safetensors");
      const lengths = Array.from(expected.get("lengths")!);
      const N = lengths.reduce((sum, n) => sum + n, 0);
      const model = new BoundModel(await makeBackend(), config, { B: 1, T: N });
      model.setWeights(base);
      const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, n) => sum + n, 0));
      const first = lengths.flatMap((n, i) => new Array<number>(n).fill(starts[i]!));
      const positions = first.map((start, n) => n - start);
      const [tokens, targets] = [batch.get("tokens")!.subarray(0, N), batch.get("targets")!.subarray(0, N)];
      model.setInputs({ tokens, targets, first, positions });
      assertClose("losses", await model.losses(), expected.get("losses")!, { relative: 5e-6 });
    });
  }
});

const plainName = (name: string): string =>
  name.replace(/^base_model\.model\.transformer\./, "").replace(/\.(base_layer|modules_to_save)\./, ".");
