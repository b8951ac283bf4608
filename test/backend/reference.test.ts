import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend, DeviceArray } from "../../src/backend/backend.js";
import { dropoutMask } from "../../src/backend/reference/dropout-mask.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { ShapeError, UsageError } from "../../src/errors.js";
import { Recorder } from "../../src/program/program.js";
import { mix32, randomBits } from "../../src/util/random.js";
import { backendContract } from "../helpers/backend-contract.js";
import { LAYOUTS, type OpCase, opCase, PreparedCase } from "../helpers/op-case.js";
import { RandomArrays } from "../helpers/random-arrays.js";

for (const precision of ["f32", "f64"] as const) {
  backendContract(`reference ${precision}`, () => referenceBackend({ precision }));
}

const random = new RandomArrays(9);
const floats = (n: number): Float32Array => random.floats(n);
const integers = (...values: number[]): Int32Array => Int32Array.of(...values);

describe("the reference backend refuses indices out of range", () => {
  const [N, C] = [2, 3];
  const embedding = (tokens: Int32Array, positions: Int32Array): OpCase[] => {
    const [wte, wpe] = [floats(4 * C), floats(5 * C)];
    const index = { tokens, positions };
    return [
      opCase("embeddingForward", "f", { out: floats(N * C), ...index, wte, wpe }, { N, C }, {}),
      opCase("embeddingBackward", "b", { dwte: wte, dwpe: wpe, dout: floats(N * C), ...index }, { N, C }, {}),
    ];
  };
  const attention = (first: Int32Array, last: Int32Array): OpCase[] => {
    const dims = { N, NH: 1, HS: C, ldq: C, ldkv: C };
    const scalars = { scale: 1, p: 0, key0: 0, key1: 0 };
    const [q, k, v, out, lse] = [floats(N * C), floats(N * C), floats(N * C), floats(N * C), floats(N)];
    const gradients = { dq: floats(N * C), dk: floats(N * C), dv: floats(N * C), dout: floats(N * C) };
    return [
      opCase("attentionForward", "f", { out, q, k, v, first, last }, dims, scalars),
      opCase("attentionBackward", "b", { ...gradients, out, lse, q, k, v, first, last }, dims, scalars),
    ];
  };
  const rows = (index: Int32Array): OpCase[] => [
    opCase("gatherRows", "g", { out: floats(N * C), x: floats(4 * C), index }, { N, W: C }, {}),
    opCase("scatterRows", "s", { dst: floats(4 * C), src: floats(N * C), index }, { N, W: C, ldsrc: C, lddst: C }, {}),
  ];
  const targets = (values: Int32Array): OpCase[] => [
    opCase(
      "crossEntropy",
      "ce",
      { losses: floats(N), logits: floats(N * C), targets: values },
      { N, V: C },
      { scale: 1 },
    ),
  ];
  const good = integers(0, 1);
  const cases: [string, RegExp, OpCase[]][] = [
    ["a token beyond the vocabulary", /tokens\[1\]: expected from 0 to 3, got 4/, embedding(integers(0, 4), good)],
    ["a negative token", /tokens\[0\].*got -1/, embedding(integers(-1, 0), good)],
    ["a position beyond the context", /positions\[0\]: expected from 0 to 4, got 5/, embedding(good, integers(5, 0))],
    [
      "a key row that is not there",
      /last\[1\]: expected from 0 to 1, got 2/,
      attention(integers(0, 0), integers(0, 2)),
    ],
    [
      "a first row after the last",
      /first\[1\]: expected from 0 to 0, got 1/,
      attention(integers(0, 1), integers(0, 0)),
    ],
    ["a negative first row", /first\[0\].*got -1/, attention(integers(-1, 0), good)],
    ["a row to gather or scatter", /index\[1\]: expected from 0 to 3, got 4/, rows(integers(3, 4))],
    ["a target beyond the vocabulary", /targets\[0\]: expected from 0 to 2, got 3/, targets(integers(3, 0))],
  ];
  for (const [name, message, ops] of cases) {
    for (const test of ops) {
      it(`${name}: ${test.kind}`, async () => {
        const backend = await referenceBackend();
        await assert.rejects(new PreparedCase(backend, test, LAYOUTS[0]!).run(), (error) => {
          assert.ok(error instanceof ShapeError);
          assert.match(error.message, message);
          assert.ok(error.message.includes(`(${test.kind})`), error.message);
          return true;
        });
      });
    }
  }

  it("sequences that share key rows, in the backward pass", async () => {
    const [forward, backward] = attention(integers(1, 0), integers(1, 1));
    await new PreparedCase(await referenceBackend(), forward!, LAYOUTS[0]!).run();
    await assert.rejects(
      new PreparedCase(await referenceBackend(), backward!, LAYOUTS[0]!).run(),
      /first\[1\].*2 or more/,
    );
  });
});

describe("the reference backend", () => {
  const prepare = async (backend: Backend, record: (k: Recorder) => void, bindings: Record<string, DeviceArray>) => {
    const k = new Recorder("test");
    record(k);
    return backend.prepare(k.build(), bindings);
  };

  it("fills temporaries with NaN, so that what no op wrote is seen", async () => {
    const backend = await referenceBackend();
    const out = backend.alloc("f32", 3);
    const executable = await prepare(
      backend,
      (k) => {
        const t = k.temp("t", [3]);
        // Starts from whatever t holds, and adds to it.
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

  it("does not take memory of the other precision", async () => {
    const array = (await referenceBackend({ precision: "f64" })).alloc("f32", 1);
    const fill = (k: Recorder) => k.op("fill", "f", { x: k.external("x", [1]) }, { size: 1 }, { value: 0 });
    await assert.rejects(
      prepare(await referenceBackend(), fill, { x: array }),
      /x: expected an array of this reference backend/,
    );
  });

  it("refuses to capture what is not there", async () => {
    const backend = await referenceBackend();
    const k = new Recorder("test");
    k.op("fill", "f", { x: k.external("x", [1]) }, { size: 1 }, { value: 0 });
    k.temp("unused", [1]);
    const x = backend.alloc("f32", 1);
    const program = k.build();
    await assert.rejects(backend.prepare(program, { x }, { capture: ["missing"] }), UsageError);
    await assert.rejects(backend.prepare(program, { x }, { capture: ["unused"] }), UsageError);
  });

  it("refuses GELU backward without its argument, and clipping without a norm", async () => {
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
