import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import type { DType } from "../../src/dtype/dtype.js";
import { Recorder } from "../../src/program/program.js";
import { randomBits } from "../../src/util/random.js";
import { THREADS } from "../helpers/tested-isas.js";

/** Not a multiple of a vector's rows, nor of a group of blocks; more blocks than scales are kept for. */
const [IC, OC] = [35 * 32, 37];
const BLOCK_BYTES: Partial<Record<DType, readonly [values: number, bytes: number]>> = {
  f16: [1, 2],
  q8_0: [32, 34],
  q4_0: [32, 18],
};

/**
 * Random bytes, with f16 values (weights or scales) of chosen exponents: 0 gives subnormal values, 31 infinities and
 * NaN.
 */
function weightBytes(type: DType, exponents: readonly number[]): Uint8Array {
  const [values, size] = BLOCK_BYTES[type]!;
  const bytes = new Uint8Array(((IC * OC) / values) * size);
  for (const i of bytes.keys()) bytes[i] = randomBits(1, 2, i);
  for (let at = 1, n = 0; at < bytes.length; at += size, n++) {
    const exponent = exponents[randomBits(3, 4, n) % exponents.length]!;
    bytes[at] = (bytes[at]! & 0x83) | (exponent << 2);
    // The lowest weight, which has no positive counterpart.
    if (type === "q8_0" && n % 5 === 0) bytes.fill(128, at + 1, at + 33);
  }
  return bytes;
}

async function linear(backend: Backend, type: DType, bytes: Uint8Array, x: Float32Array): Promise<Float32Array> {
  const N = x.length / IC;
  const k = new Recorder("linear");
  const [input, weight] = [k.external("x", [N, IC]), k.external("weight", [OC, IC], type)];
  k.op(
    "linearForward",
    "linear",
    { out: k.external("out", [N, OC]), x: input, weight },
    { N, IC, OC },
    { act: "none" },
  );
  const arrays = {
    x: backend.alloc("f32", N * IC),
    weight: backend.alloc(type, IC * OC),
    out: backend.alloc("f32", N * OC),
  };
  arrays.x.write(x);
  const { buffer, byteOffset, byteLength } = arrays.weight.host!;
  new Uint8Array(buffer, byteOffset, byteLength).set(bytes);
  await (await backend.prepare(k.build(), arrays)).run();
  return Float32Array.from(await arrays.out.read());
}

const activations = (tokens: number) =>
  Float32Array.from({ length: tokens * IC }, (_, i) => randomBits(5, 6, i) / 2 ** 31 - 1);

for (const relaxed of [true, false]) {
  describe(`wasm, ${relaxed ? "relaxed SIMD" : "SIMD"}: rows of weights with few tokens`, () => {
    for (const [type, tokens] of [
      ["f16", 4],
      ["q8_0", 8],
      ["q4_0", 8],
    ] as const) {
      it(`${type}: subnormal halves count, and a token's bits do not depend on those beside it`, async () => {
        const backend = await wasmBackend({ relaxed, threads: THREADS });
        const bytes = weightBytes(type, [0, 0, 9, 10, 11]);
        const x = activations(tokens);
        const one = await linear(backend, type, bytes, x.subarray(0, IC));
        const want = await linear(await referenceBackend(), type, bytes, x.subarray(0, IC));
        const largest = want.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
        for (const [i, v] of want.entries()) assert.ok(Math.abs(one[i]! - v) < 1e-5 * largest, `${i}: ${one[i]}, ${v}`);
        for (let n = 2; n <= tokens; n++) {
          const all = await linear(backend, type, bytes, x.subarray(0, n * IC));
          assert.deepEqual(all.subarray(0, OC), one, `beside ${n - 1}`);
        }
      });
    }

    it("f16: infinities and NaN", async () => {
      const backend = await wasmBackend({ relaxed, threads: THREADS });
      const bytes = weightBytes("f16", [15]);
      // Row 1 has +inf, 2 -inf, 3 both, 4 NaN.
      const halves = new Uint16Array(bytes.buffer);
      halves[IC + 5] = halves[3 * IC] = 0x7c00;
      halves[3 * IC - 1] = halves[4 * IC - 1] = 0xfc00;
      halves[4 * IC + 7] = 0x7e01;
      const out = await linear(backend, "f16", bytes, new Float32Array(IC).fill(1));
      assert.deepEqual([...out.subarray(1, 5)], [Infinity, -Infinity, NaN, NaN]);
      assert.ok([...out].filter(Number.isFinite).length === OC - 4);
    });
  });
}
