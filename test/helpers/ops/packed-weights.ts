import { DTYPES, encodeValues, type PackedType } from "../../../src/dtype/dtype.js";
import { Packed } from "../op-case.js";
import type { CaseContents } from "./contents.js";

/** Random weights; in q8_0 with the one byte that encoding never produces, but a file may hold. */
export function packedWeights(contents: CaseContents, dtype: PackedType, length: number, deviation: number): Packed {
  const { block, bytes } = DTYPES[dtype];
  const result = new Uint8Array((length / block) * bytes);
  encodeValues(dtype, contents.floats(length, deviation), result);
  if (dtype === "q8_0") for (let at = 2; at < result.length; at += 7 * bytes) result.fill(0x80, at, at + 3);
  return new Packed(dtype, result);
}
