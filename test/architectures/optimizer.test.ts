/** Muon against torch.optim.Muon, in float64 (scripts/python/make_ops_fixture.py), and the tensors that it updates. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type OptimizerLayout, optimizerLayout, optimizerProgram } from "../../src/architectures/optimizer.js";
import { modelConfig, tensorTable } from "../../src/architectures/registry.js";
import type { TensorSpec } from "../../src/architectures/tensor-spec.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { packageFile } from "../../src/util/package-root.js";
import { assertClose } from "../helpers/compare.js";

interface Fixture {
  readonly shapes: Readonly<Record<string, readonly [number, number]>>;
  readonly initial: readonly number[];
  readonly steps: readonly { readonly grad: readonly number[]; readonly norm: number; readonly param: number[] }[];
}
const fixture = JSON.parse(readFileSync(packageFile("test/fixtures/ops/expected.json"), "utf8")).muon as Fixture;

/** Both sides round in double precision, torch's sums in another order; five Newton–Schulz steps amplify that. */
const TOLERANCE = { relative: 1e-12 };

const table = Object.entries(fixture.shapes).map(([name, shape]): TensorSpec => {
  const stacked = name === "stacked" ? { stacked: 3 } : {};
  return { name, shape, conv1d: false, init: "normal", decay: true, layer: 0, ...stacked };
});

/** The values of each tensor at its place in the flat layout. */
function spread({ offsets, size }: OptimizerLayout, values: readonly number[]): Float64Array {
  const out = new Float64Array(size);
  let at = 0;
  for (const { offset, size: n } of offsets.values()) out.set(values.slice(at, (at += n)), offset);
  return out;
}

it("AdamW decays the tensors that the table marks, and no others", async () => {
  const backend = await referenceBackend({ precision: "f64" });
  const of = (name: string, decay: boolean): TensorSpec => ({ ...table[0]!, name, shape: [2, 3], decay });
  const layout = optimizerLayout([of("first", true), of("second", false), of("third", true)], "adamw");
  const rates = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, momentum: 0.9, weightDecay: 0.5, maxNorm: 0 };
  const program = optimizerProgram(layout, { ...rates, precision: "f32" });
  const flat = () => backend.alloc("f32", layout.size);
  const arrays = { params: flat(), grads: flat(), m: flat(), v: backend.alloc("f32", layout.secondSize) };
  const one = new Array<number>(18).fill(1);
  arrays.params.write(spread(layout, one));
  const executable = await backend.prepare(program, { ...arrays, norm: backend.alloc("f32", 1) });
  await executable.run({ scalars: { lr: 0.1, correction1: 1, correction2: 1 } });
  // Without a gradient a step is the decay alone: lr · weightDecay.
  const want = one.map((_, i) => (i >= 6 && i < 12 ? 1 : 0.95));
  assertClose("parameters", await arrays.params.read(), spread(layout, want), TOLERANCE);
});

describe("Muon", () => {
  it("takes torch's steps: wide, tall, square and stacked matrices, clipped, decayed", async () => {
    const backend = await referenceBackend({ precision: "f64" });
    const layout = optimizerLayout(table, "muon");
    const adamw = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
    const program = optimizerProgram(layout, {
      ...adamw,
      momentum: 0.9,
      weightDecay: 0.1,
      maxNorm: 1,
      precision: "f32",
    });
    const flat = () => backend.alloc("f32", layout.size);
    const arrays = { params: flat(), grads: flat(), m: flat(), v: backend.alloc("f32", layout.secondSize) };
    const norm = backend.alloc("f32", 1);
    arrays.params.write(spread(layout, fixture.initial));
    const executable = await backend.prepare(program, { ...arrays, norm });
    for (const [i, { grad, norm: wantNorm, param }] of fixture.steps.entries()) {
      arrays.grads.write(spread(layout, grad));
      await executable.run({ scalars: { lr: 3e-2, correction1: 1, correction2: 1 } });
      assertClose(`norm of step ${i + 1}`, await norm.read(), [wantNorm], TOLERANCE);
      const want = spread(layout, param);
      assertClose(`parameters after step ${i + 1}`, await arrays.params.read(), want, TOLERANCE);
    }
  });

  it("updates the matrices of layers, GPT-2's queries, keys and values apart, and AdamW the rest", () => {
    const sizes = { nLayer: 2, nEmbd: 24, nHead: 3, nCtx: 10, vocabSize: 50, tieWordEmbeddings: false };
    for (const config of [
      modelConfig({ architecture: "gpt2", ...sizes }),
      modelConfig({ architecture: "gpt-neo", ...sizes }),
    ]) {
      const { architecture } = config;
      const specs = tensorTable(config);
      const layout = optimizerLayout(specs, "muon");
      const shapes = layout.muon.map(({ rows, columns }) => `${rows}x${columns}`);
      const layer = ["24x24", "24x24", "24x24", "24x24", "96x24", "24x96"];
      assert.deepEqual(shapes, [...layer, ...layer], architecture);
      // Every element is updated once, by one of the two; AdamW's runs include gaps between tensors.
      const covered = new Uint8Array(layout.size);
      for (const { start, end } of layout.adamw) for (let i = start; i < end; i++) covered[i]! += 1;
      for (const { start, rows, columns } of layout.muon) {
        for (let i = start; i < start + rows * columns; i++) covered[i]! += 1;
      }
      for (const { name } of specs) {
        const { offset, size } = layout.offsets.get(name)!;
        assert.ok(
          covered.subarray(offset, offset + size).every((n) => n === 1),
          name,
        );
      }
      assert.equal(
        layout.secondSize,
        layout.adamw.reduce((sum, { start, end }) => sum + end - start, 0),
      );
      assert.ok(layout.secondSize < layout.size / 2, architecture);
    }
  });

  it("does not change AdamW's layout, with both moments of every tensor", () => {
    const layout = optimizerLayout(table, "adamw");
    assert.deepEqual(layout.muon, []);
    assert.deepEqual(layout.adamw, [{ start: 0, end: layout.size, decay: true, second: 0 }]);
    assert.equal(layout.secondSize, layout.size);
  });
});
