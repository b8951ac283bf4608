import { ShapeError, UsageError } from "../errors.js";
import { BLOCK, decodeQ4_0, decodeQ8_0, encodeQ4_0, encodeQ8_0, Q4_0_BYTES, Q8_0_BYTES } from "./blocks.js";
import { decodeFloats, encodeFloats } from "./floats.js";

/** Layout of a storage dtype: single values, or blocks of consecutive values that share a scale. */
interface DTypeInfo {
  /** Values in a block; the length of a row is a multiple of it. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Whether linear layers multiply integers; activations are then rounded as well ({@link roundActivations}). */
  readonly integer?: true;
}

/** Storage dtypes of a backend's memory. Kernels identify a dtype by its position here. */
export const DTYPES = {
  f32: { block: 1, bytes: 4 },
  i32: { block: 1, bytes: 4 },
  f16: { block: 1, bytes: 2 },
  bf16: { block: 1, bytes: 2 },
  q8_0: { block: BLOCK, bytes: Q8_0_BYTES, integer: true },
  q4_0: { block: BLOCK, bytes: Q4_0_BYTES, integer: true },
} as const satisfies Record<string, DTypeInfo>;

export type DType = keyof typeof DTYPES;

/** Storage dtypes of weights at inference. */
export type WeightType = Exclude<DType, "i32">;
/** Storage dtypes of cached keys and values. */
export const CACHE_TYPES = ["f32", "f16"] as const;
export type CacheType = (typeof CACHE_TYPES)[number];

/** Dtypes whose memory JavaScript sees as bytes. */
export type PackedType = Exclude<WeightType, "f32">;

export const DTYPE_NAMES = Object.keys(DTYPES) as DType[];
export const WEIGHT_TYPES = DTYPE_NAMES.filter((name): name is WeightType => name !== "i32");

/** @throws {UsageError} not a storage dtype of weights. */
export function checkWeightType(name: string): WeightType {
  const found = WEIGHT_TYPES.find((type) => type === name);
  if (found !== undefined) return found;
  throw new UsageError({ op: "dtype", expected: WEIGHT_TYPES.join(" or "), got: name });
}

export const isPacked = (dtype: DType): dtype is PackedType => dtype !== "f32" && dtype !== "i32";
export const isIntegerType = (dtype: DType): boolean => (DTYPES[dtype] as DTypeInfo).integer === true;

/** Bytes of `length` values. @throws {ShapeError} not whole blocks. */
export function byteLength(dtype: DType, length: number): number {
  const { block, bytes } = DTYPES[dtype];
  if (length % block === 0) return (length / block) * bytes;
  throw new ShapeError({ op: `an array of ${dtype}`, expected: `a multiple of ${block} values`, got: String(length) });
}

/** Decodes `bytes` to float32; `dst` has exactly the length of their values. */
export function decodeValues(dtype: WeightType, bytes: Uint8Array, dst: Float32Array): void {
  if (dtype === "q8_0") decodeQ8_0(bytes, dst);
  else if (dtype === "q4_0") decodeQ4_0(bytes, dst);
  else decodeFloats(dtype, bytes, dst);
}

/** Encodes `src`, which is whole blocks, into `dst`, which is aligned to 4 bytes. */
export function encodeValues(dtype: WeightType, src: Float32Array, dst: Uint8Array): void {
  if (dtype === "q8_0") encodeQ8_0(src, dst);
  else if (dtype === "q4_0") encodeQ4_0(src, dst);
  else encodeFloats(dtype, src, dst);
}

/** A view of host memory, as in {@link DeviceArray.host}; `byteOffset` is aligned to 4 unless the dtype is packed. */
export function viewOf(
  dtype: DType,
  memory: ArrayBufferLike,
  byteOffset: number,
  length: number,
): Float32Array | Int32Array | Uint8Array {
  if (dtype === "f32") return new Float32Array(memory, byteOffset, length);
  if (dtype === "i32") return new Int32Array(memory, byteOffset, length);
  return new Uint8Array(memory, byteOffset, byteLength(dtype, length));
}

/** The index of element `index` in {@link viewOf}'s array, which counts bytes if the dtype is packed. */
export const hostIndex = (dtype: DType, index: number): number => (isPacked(dtype) ? byteLength(dtype, index) : index);

/** The number of elements in `items` items of {@link viewOf}'s array. */
export function elementsIn(dtype: DType, items: number): number {
  const { block, bytes } = DTYPES[dtype];
  return isPacked(dtype) ? (items / bytes) * block : items;
}
