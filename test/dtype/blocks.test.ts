import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { readSafetensors } from "../../src/checkpoint/safetensors.js";
import { encodeValues, WEIGHT_TYPES, type WeightType } from "../../src/dtype/dtype.js";
import {
  decodeStored,
  firstNonFiniteStored,
  STORED_DTYPES,
  type StoredDtype,
  storedBytes,
} from "../../src/dtype/stored.js";
import { packageFile } from "../../src/util/package-root.js";

/** Python's gguf encodes and decodes the same: see the fixture's README. */
const file = readSafetensors(
  memorySource("blocks", readFileSync(packageFile("test/fixtures/gguf/blocks.safetensors"))),
);

function bytesOf(name: string): Uint8Array {
  const { source, offset, byteLength } = file.tensors.get(name)!;
  // Not slice(): that of Node's buffers gives a view.
  return new Uint8Array(source.bytes(offset, byteLength));
}

const floatsOf = (name: string): Float32Array => new Float32Array(bytesOf(name).buffer);
const bits = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

/** Every type of the fixture. */
const TYPES = [...file.tensors.keys()].filter(isType) as StoredDtype[];

function isType(name: string): boolean {
  return Object.hasOwn(STORED_DTYPES, name);
}

describe("block formats are ggml's, bit for bit", () => {
  it("the fixture has every block type", () => {
    assert.deepEqual([...TYPES, "f32", "f64"].sort(), Object.keys(STORED_DTYPES).sort());
  });

  for (const dtype of TYPES) {
    it(`${dtype} decodes as in Python's gguf`, () => {
      const bytes = bytesOf(dtype);
      const expected = floatsOf(`${dtype}.decoded`);
      const { block, bytes: width } = STORED_DTYPES[dtype];
      assert.equal((bytes.length / width) * block, expected.length);
      const values = new Float32Array(expected.length);
      decodeStored(dtype, bytes, values);
      assert.deepEqual(bits(values), bits(expected));
    });

    it(`${dtype} decodes from any address`, () => {
      const bytes = bytesOf(dtype);
      const shifted = new Uint8Array(bytes.length + 1);
      shifted.set(bytes, 1);
      const values = new Float32Array(floatsOf(`${dtype}.decoded`).length);
      decodeStored(dtype, shifted.subarray(1), values);
      assert.deepEqual(bits(values), bits(floatsOf(`${dtype}.decoded`)));
    });
  }

  for (const dtype of WEIGHT_TYPES.filter(isType).filter((name) => name !== "f32")) {
    it(`${dtype} encodes as Python's gguf`, () => {
      const values = floatsOf("values").map((x) => (dtype === "f16" ? Math.max(-65504, Math.min(65504, x)) : x));
      const bytes = new Uint8Array(storedBytes(dtype, values.length));
      encodeValues(dtype, values, bytes);
      assert.deepEqual(bytes, bytesOf(dtype));
    });
  }

  it("thousands of values, more than are converted at a time", () => {
    const once = floatsOf("values");
    const many = new Float32Array(once.length * 23);
    for (let i = 0; i < 23; i++) many.set(once, i * once.length);
    for (const dtype of ["q8_0", "q4_0"] as WeightType[]) {
      const bytes = new Uint8Array(storedBytes(dtype, many.length));
      encodeValues(dtype, many, bytes);
      const values = new Float32Array(many.length);
      decodeStored(dtype, bytes, values);
      const step = storedBytes(dtype, once.length);
      for (let i = 0; i < 23; i++) {
        assert.deepEqual(bytes.subarray(i * step, (i + 1) * step), bytesOf(dtype), `${dtype} ${i}`);
        const part = values.slice(i * once.length, (i + 1) * once.length);
        assert.deepEqual(bits(part), bits(floatsOf(`${dtype}.decoded`)), `${dtype} ${i}`);
      }
    }
  });
});

describe("a value that is not finite is found", () => {
  const infinite: Partial<Record<StoredDtype, number>> = { q2_K: 80, q3_K: 108, q6_K: 208 };
  for (const dtype of TYPES) {
    it(dtype, () => {
      const { block, bytes: width } = STORED_DTYPES[dtype];
      const blocks = 3;
      const bytes = bytesOf(dtype).subarray(0, blocks * width);
      assert.equal(firstNonFiniteStored(dtype, bytes), -1);
      // The exponent of the last block's scale, or of the last value.
      bytes[(blocks - 1) * width + (infinite[dtype] ?? 0) + 1]! |= dtype === "bf16" ? 0x7f : 0x7c;
      if (dtype === "bf16") bytes[(blocks - 1) * width]! |= 0x80;
      const found = firstNonFiniteStored(dtype, bytes);
      assert.ok(found >= (blocks - 1) * block && found < blocks * block, `${found}`);
    });
  }
});
