import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend, DeviceArray, HostArray } from "../../src/backend/backend.js";
import { byteLength, encodeValues, type WeightType } from "../../src/dtype/dtype.js";
import type { KernelPath } from "../../src/program/kernel-paths.js";
import { PRECISIONS, type Precision, withPrecision } from "../../src/program/precision.js";
import { Recorder } from "../../src/program/program.js";
import { backends } from "../generate/models.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

const PATHS: readonly KernelPath[] = ["streamed", "packed"];
const TYPES: readonly WeightType[] = ["f32", "f16", "bf16", "q8_0", "q4_0"];
const random = new RandomArrays(3);

function arrayOf(backend: Backend, values: ArrayLike<number>): DeviceArray {
  const array = backend.alloc("f32", values.length);
  array.write(values);
  return array;
}

function weightsOf(backend: Backend, dtype: WeightType, values: Float32Array): DeviceArray {
  if (dtype === "f32") return arrayOf(backend, values);
  const bytes = new Uint8Array(byteLength(dtype, values.length));
  encodeValues(dtype, values, bytes);
  const array = backend.alloc(dtype, values.length);
  array.write(bytes);
  return array;
}

/** x Wᵀ + b of rows [from, to) of x, alone in a run. */
async function linearRows(backend: Backend, dtype: WeightType, path: KernelPath, precision: Precision) {
  const [N, IC, OC] = [precision === "bf16" ? MANY : 37, 320, 83];
  const k = new Recorder("linear", path);
  const n = k.sym("N", N);
  const tensors = {
    out: k.external("out", [n, OC]),
    x: k.external("x", [n, IC]),
    weight: k.external("weight", [OC, IC], dtype),
    bias: k.external("bias", [OC]),
  };
  k.op("linearForward", "l", tensors, { N: n, IC, OC }, { act: "none" });
  const rows = random.floats(N * IC);
  const bindings = {
    out: backend.alloc("f32", N * OC),
    x: backend.alloc("f32", N * IC),
    weight: weightsOf(backend, dtype, random.floats(OC * IC, 0.05)),
    bias: arrayOf(backend, random.floats(OC)),
  };
  const executable = await backend.prepare(withPrecision(k.build(), precision), bindings);
  return {
    N,
    run: async (from: number, to: number) => {
      bindings.x.write(rows.subarray(from * IC, to * IC));
      await executable.run({ dims: { N: to - from } });
      return bindings.out.read(0, (to - from) * OC);
    },
  };
}

/**
 * Attention of queries [from, to) of a sequence over its cache, alone in a run; queries of another sequence may come
 * before them.
 */
async function attentionRows(backend: Backend, path: KernelPath, precision: Precision) {
  const [N, NH, HS] = [41, 2, 13];
  const C = NH * HS;
  const k = new Recorder("attention", path);
  const n = k.sym("N", N);
  const tensors = {
    out: k.external("out", [n, NH, HS]),
    q: k.external("q", [n, NH, HS]),
    k: k.external("k", [2 * N, NH, HS]),
    v: k.external("v", [2 * N, NH, HS]),
    first: k.external("first", [n], "i32"),
    last: k.external("last", [n], "i32"),
  };
  const dims = { N: n, NH, HS, ldq: C, ldkv: C };
  k.op("attentionForward", "a", tensors, dims, { scale: 0.3, p: 0, key0: 0, key1: 0 });
  const rows = random.floats(N * C);
  const bindings = {
    out: backend.alloc("f32", N * C),
    q: backend.alloc("f32", N * C),
    k: arrayOf(backend, random.floats(2 * N * C)),
    v: arrayOf(backend, random.floats(2 * N * C)),
    first: backend.alloc("i32", N),
    last: backend.alloc("i32", N),
  };
  const executable = await backend.prepare(withPrecision(k.build(), precision), bindings);
  return {
    N,
    run: async (from: number, to: number) => {
      bindings.q.write(rows.subarray(from * C, to * C));
      bindings.first.write(new Int32Array(to - from).fill(N));
      bindings.last.write(Int32Array.from({ length: to - from }, (_, i) => N + from + i));
      await executable.run({ dims: { N: to - from } });
      return bindings.out.read(0, (to - from) * C);
    },
  };
}

const CUTS = TESTING_ALL ? [1, 2, 3, 5, 8, 9, 17] : [1, 5, 8, 9];
/** Tokens in bf16, and how many at once: tile registers have a kernel for up to 64. */
const MANY = 131;
const MANY_CUTS = TESTING_ALL ? [1, 2, 8, 16, 17, 33, 64, 65, 70] : [1, 17, 33, 70];

interface Rows {
  readonly N: number;
  run(from: number, to: number): Promise<HostArray>;
}

async function checkCuts({ N, run }: Rows): Promise<void> {
  const whole = await run(0, N);
  const width = whole.length / N;
  for (const step of N === MANY ? MANY_CUTS : CUTS) {
    for (let from = 0; from < N; from += step) {
      const to = Math.min(N, from + step);
      assert.deepEqual(await run(from, to), whole.slice(from * width, to * width), `rows ${from} to ${to}`);
    }
  }
}

for (const backend of await backends()) {
  // The reference multiplies all types alike, once they are decoded.
  const types = TESTING_ALL || backend.name !== "reference" ? TYPES : TYPES.slice(0, 1);
  describe(`bits of a token do not depend on the others of a run, on ${backend.name}`, () => {
    for (const path of PATHS) {
      for (const precision of PRECISIONS) {
        for (const dtype of types) {
          it(`linear layers of ${dtype}, ${path}, ${precision}`, async () =>
            checkCuts(await linearRows(backend, dtype, path, precision)));
        }
        it(`attention, ${path}, ${precision}`, async () => checkCuts(await attentionRows(backend, path, precision)));
      }
    }
  });
}
