import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GPT2Error, ShapeError } from "../../src/errors.js";
import { ANY_ROWS, isWritten } from "../../src/program/op-spec.js";
import { OP_KINDS, specOf } from "../../src/program/ops.js";
import { at, maxOf, maxSize, Recorder, resolveRun, rowsOf } from "../../src/program/program.js";

const NO_DROPOUT = { p: 0, key0: 0, key1: 0 };

describe("Recorder", () => {
  it("records operations in the table's order, absent tensors as null", () => {
    const k = new Recorder("p");
    const N = k.sym("N", 4);
    const [x, weight] = [k.external("x", [N, 3]), k.external("w", [2, 3])];
    const out = k.temp("out", [N, 2]);
    k.op("linearForward", "h.0.fc", { weight, x, out }, { OC: 2, N, IC: 3 }, { act: "gelu_new" });
    k.op("fill", "h.0.zero", { x: out }, { size: 4 }, { value: k.scalar("zero") });
    const program = k.build();
    assert.equal(program.name, "p");
    assert.deepEqual(program.syms, [{ name: "N", max: 4 }]);
    assert.deepEqual(program.scalars, ["zero"]);
    assert.deepEqual(
      program.buffers.map((b) => [b.id, b.name, b.dtype, b.size, b.external]),
      [
        [0, "x", "f32", 12, true],
        [1, "w", "f32", 6, true],
        [2, "out", "f32", 8, false],
      ],
    );
    const [op, fill] = program.ops;
    assert.deepEqual([op!.kind, op!.name], ["linearForward", "h.0.fc"]);
    assert.deepEqual(op!.tensors, [out, null, x, weight, null, null]);
    assert.deepEqual(op!.dims, [N, 3, 2]);
    assert.deepEqual(op!.scalars, ["gelu_new", "auto", false]);
    assert.deepEqual(fill!.scalars, [{ scalar: "zero" }]);
  });

  it("stores a number used by several ops once", () => {
    const k = new Recorder("p");
    const x = k.external("x", [1]);
    for (const name of ["a", "b", "a"]) k.op("fill", name, { x }, { size: 1 }, { value: k.scalar(name) });
    assert.deepEqual(k.build().scalars, ["a", "b"]);
  });

  it("refuses names declared twice", () => {
    const k = new Recorder("p");
    k.external("x", [1]);
    k.sym("N", 1);
    assert.throws(() => k.external("x", [2]), /buffer x: expected one declaration, got a second/);
    assert.throws(() => k.temp("x", [2]), /buffer x: expected one declaration, got a second/);
    assert.throws(() => k.sym("N", 2), /size N: expected one declaration, got a second/);
  });

  it("refuses an op without a required tensor", () => {
    const k = new Recorder("p");
    const x = k.external("x", [4]);
    const incomplete = { out: x } as unknown as { out: typeof x; x: typeof x };
    assert.throws(() => k.op("dropout", "d", incomplete, { N: 2, C: 2 }, NO_DROPOUT), /dropout d: expected a tensor/);
  });

  it("refuses to read a temporary that was never written", () => {
    const k = new Recorder("p");
    const [t, out] = [k.temp("t", [4]), k.temp("out", [4])];
    const copy = () => k.op("dropout", "copy", { out, x: t }, { N: 2, C: 2 }, NO_DROPOUT);
    assert.throws(copy, /x \(t\) written before it is read/);
    k.op("fill", "f", { x: t }, { size: 4 }, { value: 1 });
    copy();
    // An op does not write its own input.
    const u = k.temp("u", [4]);
    assert.throws(() => k.op("dropout", "self", { out: u, x: u }, { N: 2, C: 2 }, NO_DROPOUT), ShapeError);
  });

  it("allows an op that updates in place to start a temporary", () => {
    const k = new Recorder("p");
    const [dx, dout] = [k.temp("dx", [4]), k.external("dout", [4])];
    const weight = k.external("w", [4]);
    const scalars = { act: "none", accumulate: false } as const;
    k.op("linearBackwardInput", "l", { dx, dout, weight }, { N: 2, IC: 2, OC: 2 }, scalars);
    assert.equal(k.build().ops.length, 1);
  });

  describe("refuses tensors too small for the op", () => {
    const k = new Recorder("p");
    const N = k.sym("N", 4);
    const [out, weight] = [k.external("out", [4, 2]), k.external("w", [2, 3])];
    const linear = (x: typeof out) =>
      k.op("linearForward", "l", { out, x, weight }, { N, IC: 3, OC: 2 }, { act: "none" });

    it("by the largest size that a run may choose", () => {
      assert.throws(() => linear(k.external("x", [3, 3])), /x \(x\): expected 12 elements, got 9 from offset 0 on/);
    });
    it("by their offset", () => {
      const x = k.external("x2", [5, 3]);
      assert.throws(() => linear(at(x, 4)), /expected 12 elements, got 11 from offset 4 on/);
      assert.throws(() => linear(at(x, -1)), /from offset -1 on/);
      linear(at(x, 3));
    });
    it("by their own shape, not their buffer's", () => {
      assert.throws(() => linear(rowsOf(k.external("x3", [9, 3]), 1, 3)), /expected 12 elements, got 9 from offset 3/);
    });
    it("when rows are far apart", () => {
      const cache = k.external("cache", [40]);
      const index = k.external("index", [4], "i32");
      const scatter = (ldsrc: number) =>
        k.op("scatterRows", "s", { dst: out, src: cache, index }, { N, W: 2, ldsrc, lddst: 2 }, {});
      scatter(12); // The last of four rows ends at 3 · 12 + 2 = 38.
      assert.throws(() => scatter(13), /src \(cache\): expected 41 elements, got 40/);
    });
  });

  it("refuses integers for numbers and numbers for integers", () => {
    const k = new Recorder("p");
    const [x, out] = [k.external("x", [4]), k.external("out", [4])];
    const index = k.external("index", [2], "i32");
    const gather = (from: typeof x, rows: typeof x) =>
      k.op("gatherRows", "g", { out, x: from, index: rows }, { N: 2, W: 2 }, {});
    gather(x, index);
    assert.throws(() => gather(x, k.external("y", [2])), /index \(y\): expected i32, got f32/);
    assert.throws(() => gather(k.external("z", [4], "i32"), index), /x \(z\): expected f32, got i32/);
  });

  it("refuses results that overwrite the op's inputs, unless it may work in place", () => {
    const k = new Recorder("p");
    const [x, residual, weight] = [k.external("x", [4]), k.external("r", [4]), k.external("w", [4])];
    const linear = (out: typeof x) =>
      k.op("linearForward", "l", { out, x, weight, residual }, { N: 2, IC: 2, OC: 2 }, { act: "none" });
    assert.throws(() => linear(residual), /out \(r\): expected memory of its own, got the memory of residual/);
    assert.throws(() => linear(x), /the memory of x/);
    k.op("dropout", "d", { out: residual, x, residual }, { N: 2, C: 2 }, NO_DROPOUT);
    k.op("dropout", "d", { out: x, x, residual }, { N: 2, C: 2 }, NO_DROPOUT);
    const targets = k.external("targets", [2], "i32");
    const cross = (losses: typeof x) =>
      k.op("crossEntropy", "c", { losses, dlogits: x, logits: x, targets }, { N: 2, V: 2 }, { scale: 1 });
    cross(residual);
    assert.throws(() => cross(x), /the memory of (dlogits|logits)/);
  });
});

describe("shapes", () => {
  it("count elements with every size at its maximum", () => {
    const N = { name: "N", max: 7 };
    assert.equal(maxOf(N), 7);
    assert.equal(maxOf(3), 3);
    assert.equal(maxSize([N, 3, 2]), 42);
    assert.equal(maxSize([]), 1);
  });

  it("rowsOf and at are views", () => {
    const t = new Recorder("p").external("t", [10, 4, 2]);
    assert.deepEqual(rowsOf(t, 3, 5), { buffer: t.buffer, offset: 24, shape: [5, 4, 2] });
    assert.deepEqual(rowsOf(rowsOf(t, 3, 5), 1, 2), { buffer: t.buffer, offset: 32, shape: [2, 4, 2] });
    assert.equal(at(rowsOf(t, 3, 5), 5).offset, 29);
  });
});

describe("the table of operations", () => {
  for (const kind of OP_KINDS) {
    const { dims, tensors, inPlace = [] } = specOf(kind);

    it(`${kind} names in-place pairs that exist, the first of them written`, () => {
      for (const [written, other] of inPlace) {
        assert.ok(isWritten(tensors[written]!), written);
        assert.ok(tensors[other], other);
      }
    });

    it(`${kind} has shapes of declared sizes, and indices into declared tensors`, () => {
      for (const [role, { dtype, shape, stride, range }] of Object.entries(tensors)) {
        for (const [axis, size] of shape.entries()) {
          assert.ok(dims.includes(size) || (size === ANY_ROWS && axis === 0 && shape.length > 1), `${role}: ${size}`);
        }
        assert.ok(stride === undefined || dims.includes(stride), `${role}: ${stride}`);
        assert.equal(dtype === "i32", range !== undefined, `${role}: an index has a range`);
        if (!range) continue;
        if ("classes" in range) assert.ok(dims.includes(range.classes), role);
        else if (range.upTo !== undefined) assert.equal(tensors[range.upTo]?.dtype, "i32", role);
        if ("rowsOf" in range)
          for (const table of range.rowsOf) assert.ok(tensors[table] && table !== role, `${role}: ${table}`);
      }
    });
  }
});

describe("resolveRun", () => {
  const k = new Recorder("step");
  const [N, M] = [k.sym("N", 8), k.sym("M", 3)];
  const x = k.external("x", [N, M]);
  k.op("fill", "f", { x }, { size: 24 }, { value: k.scalar("lr") });
  k.op("fill", "f", { x }, { size: 24 }, { value: k.scalar("key") });
  const program = k.build();

  it("gives sizes and numbers in the Program's order", () => {
    const values = { dims: { M: 0, N: 8 }, scalars: { key: 2, lr: 0.5, unused: 9 } };
    assert.deepEqual(resolveRun(program, values), { dims: [8, 0], scalars: [0.5, 2] });
  });

  it("refuses sizes that are missing, negative, fractional or too large", () => {
    const scalars = { key: 0, lr: 0 };
    for (const wrong of [undefined, -1, 1.5, 9, Number.NaN]) {
      const dims = { N: wrong as number, M: 1 };
      const want = new RegExp(`program step: size N: expected an integer from 0 to 8, got ${wrong}`);
      assert.throws(() => resolveRun(program, { dims, scalars }), want);
    }
    assert.throws(() => resolveRun(program, { scalars }), ShapeError);
  });

  it("refuses a missing number", () => {
    const dims = { N: 1, M: 1 };
    assert.throws(() => resolveRun(program, { dims, scalars: { lr: 1 } }), /program step: number key/);
    assert.throws(() => resolveRun(program, { dims }), GPT2Error);
  });
});
