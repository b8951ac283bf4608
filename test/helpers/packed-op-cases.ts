/**
 * Cases for the conformance suite in which weights are of a packed type: each type in each role that may hold it, at both
 * sides of the sizes where kernels change path.
 */
import { DTYPES, encodeValues, isPacked, type PackedType, WEIGHT_TYPES } from "../../src/dtype/dtype.js";
import { type OpCase, opCase, Packed, type Part, SPARE_ROWS } from "./op-case.js";
import { RandomArrays } from "./random-arrays.js";

const PACKED_TYPES = WEIGHT_TYPES.filter(isPacked);
const random = new RandomArrays(20261122);

const rows = (N: number, W: number): Float32Array => random.floats((N + SPARE_ROWS) * W);

/** Random weights; q8_0 with the one byte that encoding never gives, but a file may hold. */
function packed(dtype: PackedType, length: number, deviation: number): Packed {
  const { block, bytes } = DTYPES[dtype];
  const result = new Uint8Array((length / block) * bytes);
  encodeValues(dtype, random.floats(length, deviation), result);
  if (dtype === "q8_0") for (let at = 2; at < result.length; at += 7 * bytes) result.fill(0x80, at, at + 3);
  return new Packed(dtype, result);
}

/** Activations whose blocks differ in magnitude, some of them zero. */
function activations(N: number, IC: number): Float32Array {
  const x = rows(N, IC);
  const scales = [1, 0.01, 3, 0, 1e-30, 20];
  return x.map((value, i) => value * scales[(i >> 5) % scales.length]!);
}

/** Tokens, channels in, channels out. */
const LINEAR_SIZES = [
  [0, 32, 5],
  [1, 32, 1],
  [1, 32, 33],
  [1, 96, 70],
  [1, 768, 130],
  [1, 1056, 37],
  [2, 96, 65],
  [3, 32, 33],
  [3, 768, 70],
  [4, 1056, 37],
  [5, 64, 47],
  [8, 96, 100],
  [8, 768, 70],
  [9, 32, 33],
  [9, 768, 65],
  [17, 160, 96],
  [40, 96, 130],
  [40, 768, 70],
  [70, 1056, 37],
] as const;

function linearCases(dtype: PackedType): OpCase[] {
  const offset = 3 * DTYPES.q8_0.block;
  return LINEAR_SIZES.flatMap(([N, IC, OC]) => {
    const dims = { N, IC, OC };
    const size = `${dtype} N=${N} IC=${IC} OC=${OC}`;
    const x = activations(N, IC);
    const shared = { weights: packed(dtype, offset + OC * IC, 1 / Math.sqrt(IC)) };
    const weight: Part = { buffer: "weights", at: offset };
    const bias = random.floats(OC);
    const [dout, preact] = [rows(N, OC), rows(N, IC)];
    const forward = (
      name: string,
      act: "none" | "gelu_new",
      more: Partial<Record<"preact" | "bias" | "residual", Float32Array>>,
    ) => opCase("linearForward", `${name} ${size}`, { out: rows(N, OC), x, weight, ...more }, dims, { act }, shared);
    const input = (name: string, act: "none" | "gelu_new", accumulate: boolean) =>
      opCase(
        "linearBackwardInput",
        `${name} ${size}`,
        { dx: rows(N, IC), dout, weight, preact: act === "none" ? undefined : preact },
        dims,
        { act, accumulate },
        shared,
      );
    return [
      forward("bare", "none", {}),
      forward("everything", "gelu_new", { bias, preact: rows(N, OC), residual: rows(N, OC) }),
      input("overwriting", "none", false),
      input("through GELU, accumulating", "gelu_new", true),
    ];
  });
}

function embeddingCases(wteType: PackedType, wpeType: PackedType | "f32"): OpCase[] {
  // The smallest weights have scales that are not normal in half precision.
  return [1, 1e-4, 1e-6].flatMap((deviation) =>
    [32, 96, 768].map((C) => {
      const [N, V, T] = [17, 11, 40];
      const index = (below: number) => Int32Array.from([...random.integers(N, below), 0, 0]);
      return opCase(
        "embeddingForward",
        `wte ${wteType} wpe ${wpeType} C=${C} deviation=${deviation}`,
        {
          out: rows(N, C),
          tokens: index(V),
          positions: index(T),
          wte: packed(wteType, V * C, deviation),
          wpe: wpeType === "f32" ? random.floats(T * C, deviation) : packed(wpeType, T * C, deviation),
        },
        { N, C },
        {},
      );
    }),
  );
}

export const PACKED_OP_CASES: readonly OpCase[] = PACKED_TYPES.flatMap((dtype) => [
  ...linearCases(dtype),
  ...embeddingCases(dtype, "f32"),
  ...embeddingCases(dtype, dtype),
]);
