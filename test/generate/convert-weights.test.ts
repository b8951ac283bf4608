import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import type { Backend } from "../../src/backend/backend.js";
import { nativeBackend } from "../../src/backend/native/index.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { wasmBackend } from "../../src/backend/wasm/index.js";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { type StoredLayout, type StoredTensor, storedTensor } from "../../src/checkpoint/stored-tensor.js";
import {
  byteLength,
  DTYPES,
  decodeValues,
  encodeValues,
  WEIGHT_TYPES,
  type WeightType,
} from "../../src/dtype/dtype.js";
import { CheckpointError } from "../../src/errors.js";
import { loadWeights } from "../../src/pretrained/weights.js";
import { RandomStream } from "../../src/util/random.js";
import { testedIsas } from "../helpers/tested-isas.js";

const CONFIG = gpt2Config({ nLayer: 1, nEmbd: 64, nHead: 1 });

/** Numbers that test rounding: all magnitudes of f16, with halves and ties, and blocks of zeros. */
function awkwardValues(count: number): Float32Array {
  const random = new RandomStream(7, count);
  return Float32Array.from({ length: count }, (_, i) => {
    if (i % 256 < 32) return i % 2 === 0 ? -0 : 0;
    const magnitude = 2 ** (24 * random.uniform() - 22) * (random.uniform() < 0.5 ? -1 : 1);
    return i % 3 === 0 ? Math.round(8 * magnitude) / 16 : magnitude;
  });
}

/** The bytes of these values in a file of the type; transposed values are given in the file's order. */
function stored(name: string, dtype: WeightType, shape: number[], storedAs: StoredLayout, values: Float32Array) {
  // An odd address, as in safetensors files.
  const bytes = new Uint8Array(4 * Math.ceil(byteLength(dtype, values.length) / 4 + 1));
  const aligned = bytes.subarray(0, byteLength(dtype, values.length));
  encodeValues(dtype, values, aligned);
  bytes.copyWithin(1, 0, aligned.length);
  return storedTensor({ name, dtype, shape, storedAs, source: memorySource("file", bytes), offset: 1 });
}

function transposed(values: Float32Array, rows: number, cols: number): Float32Array {
  return Float32Array.from({ length: values.length }, (_, i) => values[(i % rows) * cols + Math.floor(i / rows)]!);
}

/** Matrices with rows of `cols` values in a type, also transposed (never for block types), and their values. */
function matrices(type: WeightType, rows: number, cols: number): { tensor: StoredTensor; values: Float32Array }[] {
  const values = awkwardValues(rows * cols);
  const bytes = new Uint8Array(byteLength(type, values.length));
  encodeValues(type, values, bytes);
  const held = new Float32Array(values.length);
  decodeValues(type, bytes, held);
  const straight = stored(`${type} ${rows}`, type, [rows, cols], "out_in", held);
  if (DTYPES[type].block > 1) return [{ tensor: straight, values: held }];
  const turned = stored(`${type} ${rows} in_out`, type, [rows, cols], "in_out", transposed(held, rows, cols));
  return [straight, turned].map((tensor) => ({ tensor, values: held }));
}

const CASES = WEIGHT_TYPES.flatMap((type) => [...matrices(type, 37, 288), ...matrices(type, 100, 64)]);

/** Backends and their conversion: in JavaScript, or by the native function of each instruction set. */
async function converters(): Promise<(readonly [name: string, backend: Backend])[]> {
  return [
    ["the reference", await referenceBackend()],
    ["wasm", await wasmBackend({ threads: 1 })],
    ...(await Promise.all(
      testedIsas().map(async (isa) => [`native ${isa}`, await nativeBackend({ isa, threads: 1 })] as const),
    )),
  ];
}

const tested = await converters();

describe("weights converted while loading", () => {
  for (const [name, backend] of tested) {
    for (const dtype of WEIGHT_TYPES) {
      it(`to ${dtype} on ${name} have the bits of src/dtype, from every type and layout`, async () => {
        const weights = await loadWeights(
          backend,
          CONFIG,
          CASES.map(({ tensor }) => tensor),
          { dtype },
        );
        for (const { tensor, values } of CASES) {
          const array = weights.get(tensor.name)!;
          assert.equal(array.dtype, dtype);
          const got = await array.read();
          const expected = new Uint8Array(byteLength(dtype, values.length));
          // Blocks requested in the file's own type are left unchanged.
          if (dtype === tensor.dtype && DTYPES[dtype].block > 1) expected.set(tensor.data);
          else encodeValues(dtype, values, expected);
          const bytes = new Uint8Array(got.buffer, got.byteOffset, got.byteLength);
          assert.deepEqual(bytes, expected, tensor.name);
        }
      });
    }

    it(`on ${name} must be finite, and within the range of their type`, async () => {
      for (const type of WEIGHT_TYPES) {
        for (const { tensor } of matrices(type, 3, 64)) {
          const block = DTYPES[type].bytes;
          tensor.data.fill(0xff, 2 * block, 3 * block);
          for (const dtype of WEIGHT_TYPES) {
            await assert.rejects(
              loadWeights(backend, CONFIG, [tensor], { dtype }),
              (error: Error) => error instanceof CheckpointError && /index \[\d+, \d+\].*got NaN/.test(error.message),
              `${tensor.name} as ${dtype}`,
            );
          }
        }
      }
      const large = awkwardValues(3 * 64).fill(1e9, 40, 41);
      for (const layout of ["out_in", "in_out"] as const) {
        const tensor = stored("large", "f32", [3, 64], layout, large);
        for (const dtype of ["f16", "q8_0", "q4_0"] as const) {
          await assert.rejects(
            loadWeights(backend, CONFIG, [tensor], { dtype }),
            /values that .* can hold.*f32 or bf16/,
          );
        }
        assert.equal((await loadWeights(backend, CONFIG, [tensor], { dtype: "bf16" })).size, 1);
      }
    });
  }

  it("stay f32 where they are vectors or positions, and become f16 where their rows are not whole blocks", async () => {
    const shapes: Record<string, number[]> = {
      "ln_f.bias": [64],
      "wpe.weight": [4, 64],
      "wte.weight": [2, 40],
      w: [2, 64],
    };
    const tensors = Object.entries(shapes).map(([name, shape]) => {
      return stored(name, "f32", shape, "out_in", awkwardValues(shape.reduce((n, d) => n * d)));
    });
    const weights = await loadWeights(await referenceBackend(), CONFIG, tensors, { dtype: "q8_0" });
    const types = Array.from(weights, ([name, { dtype }]) => [name, dtype]);
    assert.deepEqual(Object.fromEntries(types), {
      "ln_f.bias": "f32",
      "wpe.weight": "f32",
      "wte.weight": "f16",
      w: "q8_0",
    });
  });
});
