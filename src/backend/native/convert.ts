import type { MappedRange } from "../../checkpoint/byte-source.js";
import { DTYPE_NAMES } from "../../dtype/dtype.js";
import type { ConversionResult, WeightConversion } from "../weight-conversion.js";
import { nativeLibrary } from "./library.js";
import { type NativeArray, NativeMapping } from "./memory.js";

/** CONVERT_… in native/op.h. */
const RESULTS: readonly ConversionResult[] = ["done", "not finite", "too large"];

function addressOf({ file, offset, length }: MappedRange): bigint {
  return file instanceof NativeMapping
    ? file.address + BigInt(offset)
    : nativeLibrary().address(file.bytes(offset, length));
}

/** Does it on a thread of the event loop's pool; several may be under way. `dst` is a {@link NativeArray}. */
export async function convertWeights(
  team: unknown,
  { src, srcType, transposed, rows, cols, from, to, dst }: WeightConversion,
): Promise<ConversionResult> {
  const lib = nativeLibrary();
  const types = [srcType, dst?.dtype ?? srcType].map((dtype) => DTYPE_NAMES.indexOf(dtype));
  const job = new BigInt64Array(9);
  job[0] = src instanceof Uint8Array ? lib.address(src) : addressOf(src);
  job[1] = dst ? (dst as NativeArray).address : 0n;
  job.set([rows, cols, from, to, ...types, transposed ? 1 : 0].map(BigInt), 2);
  return RESULTS[await lib.convert(team, job)]!;
}
