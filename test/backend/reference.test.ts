import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend, DeviceArray } from "../../src/backend/backend.js";
import { dropoutMask } from "../../src/backend/reference/dropout-mask.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { UsageError } from "../../src/errors.js";
import { Recorder } from "../../src/program/program.js";
import { mix32, randomBits } from "../../src/util/random.js";
import { backendContract } from "../helpers/backend-contract.js";
import { LAYOUTS, opCase, PreparedCase } from "../helpers/op-case.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

// The oracle of the others in double precision is the same code.
for (const precision of TESTING_ALL ? (["f32", "f64"] as const) : (["f32"] as const)) {
  backendContract(`reference ${precision}`, () => referenceBackend({ precision }));
}

const random = new RandomArrays(9);

describe("the reference backend", () => {
  const prepare = async (backend: Backend, record: (k: Recorder) => void, bindings: Record<string, DeviceArray>) => {
    const k = new Recorder("test");
    record(k);
    return backend.prepare(k.build(), bindings);
  };

  it("fills temporaries with NaN, so that unwritten values show", async () => {
    const backend = await referenceBackend();
    const out = backend.alloc("f32", 3);
    const executable = await prepare(
      backend,
      (k) => {
        const t = k.temp("t", [3]);
        // Starts from the contents of t, and adds to them.
        const nothing = k.external("out", [3]);
        k.op("linearBackwardWeight", "add", { dbias: t, dout: nothing, x: nothing }, { N: 1, IC: 1, OC: 2 }, {});
        k.op("dropout", "copy", { out: nothing, x: t }, { N: 1, C: 3 }, { p: 0, key0: 0, key1: 0 });
      },
      { out },
    );
    for (let i = 0; i < 2; i++) {
      await executable.run();
      assert.deepEqual([...(await out.read())], [Number.NaN, Number.NaN, Number.NaN]);
    }
  });

  it("refuses memory of the other precision", async () => {
    const array = (await referenceBackend({ precision: "f64" })).alloc("f32", 1);
    const fill = (k: Recorder) => k.op("fill", "f", { x: k.external("x", [1]) }, { size: 1 }, { value: 0 });
    await assert.rejects(
      prepare(await referenceBackend(), fill, { x: array }),
      /x: expected an array of this reference backend/,
    );
  });

  it("refuses sequences that share key rows, in attention's backward pass", async () => {
    const [N, C] = [2, 3];
    const floats = () => random.floats(N * C);
    const tensors = {
      ...{ dq: floats(), dk: floats(), dv: floats(), dout: floats(), out: floats(), lse: random.floats(N) },
      ...{ q: floats(), k: floats(), v: floats(), first: Int32Array.of(1, 0), last: Int32Array.of(1, 1) },
    };
    const dims = { N, NH: 1, HS: C, ldq: C, ldkv: C };
    const test = opCase("attentionBackward", "b", tensors, dims, { scale: 1, p: 0, key0: 0, key1: 0 });
    const run = new PreparedCase(await referenceBackend(), test, LAYOUTS[0]!).run();
    await assert.rejects(run, /first\[1\].*2 or more/);
  });

  it("refuses to capture unknown buffers", async () => {
    const backend = await referenceBackend();
    const k = new Recorder("test");
    k.op("fill", "f", { x: k.external("x", [1]) }, { size: 1 }, { value: 0 });
    k.temp("unused", [1]);
    const x = backend.alloc("f32", 1);
    const program = k.build();
    await assert.rejects(backend.prepare(program, { x }, { capture: ["missing"] }), UsageError);
    await assert.rejects(backend.prepare(program, { x }, { capture: ["unused"] }), UsageError);
  });

  it("refuses GELU backward without its preactivation, and clipping without a norm", async () => {
    const backend = await referenceBackend();
    const [x, y] = [backend.alloc("f32", 1), backend.alloc("f32", 1)];
    const gelu = await prepare(
      backend,
      (k) => {
        const [dx, dout] = [k.external("x", [1]), k.external("y", [1])];
        k.op(
          "linearBackwardInput",
          "g",
          { dx, dout, weight: dout },
          { N: 1, IC: 1, OC: 1 },
          { act: "gelu_new", accumulate: false },
        );
      },
      { x, y },
    );
    await assert.rejects(gelu.run(), /preact: expected a tensor/);
    const [m, v] = [backend.alloc("f32", 1), backend.alloc("f32", 1)];
    const clip = await prepare(
      backend,
      (k) => {
        const [param, grad] = [k.external("x", [1]), k.external("y", [1])];
        const rates = { lr: 0, beta1: 0.9, beta2: 0.9, epsilon: 1e-8, weightDecay: 0, maxNorm: 1 };
        const tensors = { param, grad, m: k.external("m", [1]), v: k.external("v", [1]) };
        k.op("adamw", "a", tensors, { size: 1 }, { ...rates, correction1: 1, correction2: 1 });
      },
      { x, y, m, v },
    );
    await assert.rejects(clip.run(), /norm: expected a tensor/);
  });
});

describe("dropout masks", () => {
  it("keep an element by its row's key and its column", () => {
    const [p, key0, key1] = [0.3, 123456789, 4294967295];
    const factor = dropoutMask(p, key0, key1);
    for (let row = 0; row < 20; row++) {
      for (let column = 0; column < 20; column++) {
        const rowKey = mix32((key1 + row) % 2 ** 32);
        const kept = randomBits(key0, rowKey, column) >= Math.floor(0.3 * 2 ** 32);
        assert.equal(factor(row, column), kept ? 1 / 0.7 : 0);
      }
    }
  });

  it("take negative keys as their two's complement", () => {
    const [a, b] = [dropoutMask(0.5, -1, -2), dropoutMask(0.5, 4294967295, 4294967294)];
    for (let i = 0; i < 100; i++) assert.equal(a(i, 7 * i), b(i, 7 * i));
  });

  it("drop a share of p, independently along rows and columns", () => {
    const [rows, columns] = [300, 400];
    for (const p of [0.1, 0.5, 0.9]) {
      const factor = dropoutMask(p, 42, 7);
      const kept = (r: number, c: number) => (factor(r, c) > 0 ? 1 : 0);
      let [share, rowPairs, columnPairs] = [0, 0, 0];
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) {
          share += kept(r, c);
          rowPairs += kept(r, c) * kept(r, c + 1);
          columnPairs += kept(r, c) * kept(r + 1, c);
        }
      }
      const n = rows * columns;
      // Five standard deviations of a share of n draws.
      const near = (value: number, q: number) => Math.abs(value / n - q) < 5 * Math.sqrt((q * (1 - q)) / n);
      assert.ok(near(share, 1 - p), `p=${p}: ${share / n}`);
      assert.ok(near(rowPairs, (1 - p) ** 2), `p=${p}: ${rowPairs / n}`);
      assert.ok(near(columnPairs, (1 - p) ** 2), `p=${p}: ${columnPairs / n}`);
    }
  });
});
