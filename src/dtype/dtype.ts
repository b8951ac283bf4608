import { ShapeError, UsageError } from "../errors.js";
import { BLOCK, decodeQ4_0, decodeQ8_0, encodeQ4_0, encodeQ8_0, Q4_0_BYTES, Q8_0_BYTES } from "./blocks.js";
import { decodeFloats, encodeFloats } from "./floats.js";

/** How the numbers of an array are held: one by one, or in blocks of neighbours that share a scale. */
interface DTypeInfo {
  /** Values in a block; a row's length is a multiple. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Whether linear layers multiply integers: activations are then rounded too, {@link roundActivations}. */
  readonly integer?: true;
}

/** Everything that memory of a backend can hold. Kernels know a dtype by its place here. */
export const DTYPES = {
  f32: { block: 1, bytes: 4 },
  i32: { block: 1, bytes: 4 },
  f16: { block: 1, bytes: 2 },
  bf16: { block: 1, bytes: 2 },
  q8_0: { block: BLOCK, bytes: Q8_0_BYTES, integer: true },
  q4_0: { block: BLOCK, bytes: Q4_0_BYTES, integer: true },
} as const satisfies Record<string, DTypeInfo>;

export type DType = keyof typeof DTYPES;

/** What weights may be held in for inference. */
export type WeightType = Exclude<DType, "i32">;
/** Those whose memory is bytes to JavaScript. */
export type PackedType = Exclude<WeightType, "f32">;

export const DTYPE_NAMES = Object.keys(DTYPES) as DType[];
export const WEIGHT_TYPES = DTYPE_NAMES.filter((name): name is WeightType => name !== "i32");

/** @throws {UsageError} weights can't be held in that. */
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

/** float32 values of `bytes`; `dst` has as many as they hold. */
export function decodeValues(dtype: WeightType, bytes: Uint8Array, dst: Float32Array): void {
  if (dtype === "q8_0") decodeQ8_0(bytes, dst);
  else if (dtype === "q4_0") decodeQ4_0(bytes, dst);
  else decodeFloats(dtype, bytes, dst);
}

/** The bytes of `src`, whole blocks, to `dst`, which is aligned to 4 bytes. */
export function encodeValues(dtype: WeightType, src: Float32Array, dst: Uint8Array): void {
  if (dtype === "q8_0") encodeQ8_0(src, dst);
  else if (dtype === "q4_0") encodeQ4_0(src, dst);
  else encodeFloats(dtype, src, dst);
}

/** Host memory of a dtype, as {@link DeviceArray.host} shows it; `byteOffset` is aligned to 4 unless it is packed. */
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

/** Where element `index` stands in {@link viewOf}'s array: packed types count in bytes. */
export const hostIndex = (dtype: DType, index: number): number => (isPacked(dtype) ? byteLength(dtype, index) : index);

/** Elements that so many items of {@link viewOf}'s array are. */
export function elementsIn(dtype: DType, items: number): number {
  const { block, bytes } = DTYPES[dtype];
  return isPacked(dtype) ? (items / bytes) * block : items;
}
