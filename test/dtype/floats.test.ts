import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { transpose } from "../../src/checkpoint/transpose.js";
import {
  bf16ToF32,
  decodeFloats,
  encodeFloats,
  FLOAT_BYTES,
  type FloatDtype,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  firstNonFinite,
} from "../../src/dtype/floats.js";
import { transposed } from "../checkpoint/small-model.js";
import { RandomArrays } from "../helpers/random-arrays.js";

const ALL_16_BITS = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** The definition of a binary float of 16 bits, in real arithmetic. */
function definedValue(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const FORMATS = [
  { name: "f16", exponentBits: 5, decode: f16ToF32, encode: f32ToF16 },
  { name: "bf16", exponentBits: 8, decode: bf16ToF32, encode: f32ToBf16 },
] as const;

for (const { name, exponentBits, decode, encode } of FORMATS) {
  describe(name, () => {
    it("decodes all 65,536 values", () => {
      const got = new Float32Array(65536);
      decode(ALL_16_BITS, got);
      const wrong = ALL_16_BITS.findIndex((bits) => !Object.is(got[bits], definedValue(bits, exponentBits)));
      assert.equal(wrong, -1, `bits ${wrong}: got ${got[wrong]}, want ${definedValue(wrong, exponentBits)}`);
    });

    it("encodes back what it decodes, NaN payloads and signed zeros included", () => {
      const values = new Float32Array(65536);
      const back = new Uint16Array(65536);
      decode(ALL_16_BITS, values);
      encode(values, back);
      for (const bits of ALL_16_BITS) {
        // Signalling NaNs become quiet; everything else is unchanged.
        const quiet = 2 ** (14 - exponentBits);
        const want = Number.isNaN(values[bits]!) ? bits | quiet : bits;
        if (back[bits] !== want) assert.fail(`bits ${bits}: got ${back[bits]}, want ${want}`);
      }
    });

    it("rounds to nearest, ties to even, at and around every midpoint", () => {
      const step = new Float32Array(1);
      const stepBits = new Uint32Array(step.buffer);
      const values: number[] = [];
      const want: number[] = [];
      const infinity = (2 ** exponentBits - 1) << (15 - exponentBits);
      // A value half a step beyond the largest finite one rounds as if there were a next one.
      const magnitude = (bits: number): number => {
        const next = bits - (1 << (15 - exponentBits));
        return bits === infinity ? 2 * definedValue(next, exponentBits) : definedValue(bits, exponentBits);
      };
      for (let low = 0; low < infinity; low++) {
        step[0] = (magnitude(low) + magnitude(low + 1)) / 2;
        const even = low % 2 === 0 ? low : low + 1;
        const middle = stepBits[0]!;
        for (const [offset, bits] of [
          [0, even],
          [-1, low],
          [1, low + 1],
        ] as const) {
          stepBits[0] = middle + offset;
          values.push(step[0]!, -step[0]!);
          want.push(bits, bits | 0x8000);
        }
      }
      const got = new Uint16Array(values.length);
      encode(Float32Array.from(values), got);
      const wrong = got.findIndex((bits, i) => bits !== want[i]);
      assert.equal(wrong, -1, `${values[wrong]}: got ${got[wrong]}, want ${want[wrong]}`);
    });

    it("keeps infinities, makes too large values infinite and NaN never infinite", () => {
      const inf = Number.POSITIVE_INFINITY;
      const bits = new Uint32Array([0x7f800001, 0xff800001, 0x7fffffff, 0x7fc00000]);
      const src = new Float32Array([inf, -inf, 3.4028234e38, -3.4028234e38, ...new Float32Array(4)]);
      new Uint32Array(src.buffer).set(bits, 4);
      const half = new Uint16Array(src.length);
      const back = new Float32Array(src.length);
      encode(src, half);
      decode(half, back);
      assert.deepEqual([...back], [inf, -inf, inf, -inf, Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
      assert.ok(Math.sign(back[5]!) !== 1 && half[5]! >>> 15 === 1, "sign of NaN");
    });
  });
}

describe("decodeFloats and encodeFloats", () => {
  it("work at any address", () => {
    const values = new RandomArrays(1).floats(37);
    for (const dtype of ["f32", "f16", "bf16", "f64"] as FloatDtype[]) {
      const aligned = new Uint8Array(37 * FLOAT_BYTES[dtype]);
      encodeFloats(dtype, values, aligned);
      const want = new Float32Array(37);
      decodeFloats(dtype, aligned, want);
      for (let shift = 1; shift < 8; shift++) {
        const moved = new Uint8Array(aligned.length + shift);
        moved.set(aligned, shift);
        const got = new Float32Array(37);
        decodeFloats(dtype, moved.subarray(shift), got);
        assert.deepEqual(got, want, `${dtype} at address ${shift}`);
      }
      if (dtype === "f32" || dtype === "f64") assert.deepEqual(want, values);
    }
  });

  it("keep every bit of f32", () => {
    const bits = new Uint32Array([0, 0x80000000, 1, 0x7f800001, 0x7fc12345, 0xffffffff, 0x3f800000, 0x007fffff]);
    const bytes = new Uint8Array(bits.byteLength);
    encodeFloats("f32", new Float32Array(bits.buffer), bytes);
    const back = new Float32Array(bits.length);
    decodeFloats("f32", bytes, back);
    assert.deepEqual(new Uint32Array(back.buffer), bits);
  });
});

describe("firstNonFinite", () => {
  it("finds the first NaN or infinity of either sign and nothing else", () => {
    const values = new Float32Array([0, -0, 3.4e38, -3.4e38, 1e-45, 1]);
    assert.equal(firstNonFinite(values), -1);
    for (const bad of [Number.NaN, -Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (let i = 0; i < values.length; i++) assert.equal(firstNonFinite(values.with(i, bad)), i);
    }
  });
});

describe("transpose", () => {
  it("agrees with the plain definition at odd sizes, offsets and strides", () => {
    for (const [rows, cols] of [
      [1, 1],
      [1, 9],
      [7, 8],
      [8, 8],
      [9, 17],
      [33, 5],
      [64, 31],
    ] as const) {
      const src = new RandomArrays(rows * 100 + cols).floats(3 + rows * (cols + 2));
      const packed = Float32Array.from({ length: rows * cols }, (_, i) => {
        return src[3 + Math.floor(i / cols) * (cols + 2) + (i % cols)]!;
      });
      const dst = new Float32Array(5 + cols * (rows + 4)).fill(-7);
      transpose({ data: src, offset: 3, stride: cols + 2 }, rows, cols, { data: dst, offset: 5, stride: rows + 4 });
      const want = transposed(packed, [rows, cols]);
      const untouched = dst.length - want.length;
      for (let c = 0; c < cols; c++) {
        const row = dst.subarray(5 + c * (rows + 4)).subarray(0, rows);
        assert.deepEqual(row, want.subarray(c * rows, (c + 1) * rows), `${rows}×${cols}, row ${c}`);
      }
      assert.equal(dst.filter((v) => v === -7).length, untouched, "writes outside the matrix");
    }
  });
});
