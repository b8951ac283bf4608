import type { MappedRange } from "../../checkpoint/byte-source.js";
import { DTYPE_NAMES } from "../../dtype/dtype.js";
import type { KernelArray } from "../kernels/array.js";
import type { ConversionFailure, WeightConversion } from "../weight-conversion.js";
import { nativeLibrary, type Resource } from "./library.js";
import { type NativeBlock, NativeFile } from "./memory.js";

/** int64 fields of ConvertJob in native/op.h. */
const FIELDS = 9;
/** CONVERT_… in native/op.h; 0 is success. */
const REASONS = [undefined, "not finite", "too large"] as const;
/** The result has the reason in its lowest bits, and above them the number of the job that failed. */
const REASON_BITS = 2;

/** Converts jobs one after the other on a thread of libuv's pool. Each `dst` is an array of the native backend. */
export async function convertWeights(
  team: Resource,
  conversions: readonly WeightConversion[],
): Promise<ConversionFailure | undefined> {
  const jobs = new BigInt64Array(FIELDS * conversions.length);
  for (const [i, conversion] of conversions.entries()) writeJob(jobs.subarray(FIELDS * i), conversion);
  const result = await nativeLibrary().convert(team, jobs, conversions.length);
  const reason = REASONS[result % 2 ** REASON_BITS];
  return reason && { index: result >> REASON_BITS, reason };
}

function writeJob(job: BigInt64Array, conversion: WeightConversion): void {
  const { src, srcType, transposed, rows, cols, from, to, dst } = conversion;
  const types = [srcType, dst?.dtype ?? srcType].map((dtype) => DTYPE_NAMES.indexOf(dtype));
  job[0] = src instanceof Uint8Array ? nativeLibrary().address(src) : addressOf(src);
  job[1] = dst ? addressOfArray(dst as KernelArray) : 0n;
  job.set([rows, cols, from, to, ...types, transposed ? 1 : 0].map(BigInt), 2);
}

function addressOfArray({ block, byteOffset }: KernelArray): bigint {
  return (block as NativeBlock).address + BigInt(byteOffset);
}

function addressOf({ file, offset, length }: MappedRange): bigint {
  if (file instanceof NativeFile) return file.address + BigInt(offset);
  return nativeLibrary().address(file.bytes(offset, length));
}
