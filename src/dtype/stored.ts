import { DTYPES, decodeValues, type WeightType } from "./dtype.js";
import { decodeFloats, firstNonFinite } from "./floats.js";
import {
  decodeKQuant,
  decodeOffsetBlocks,
  K_QUANTS,
  type KQuant,
  OFFSET_BLOCKS,
  type OffsetBlock,
} from "./read-only-blocks.js";

/** Storage dtypes of model files: those of memory, double precision, and blocks that are read but never written. */
export type StoredDtype = WeightType | "f64" | OffsetBlock | KQuant;

interface StoredInfo {
  /** Values in a block; the length of a row is a multiple of it. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
}

const { i32: _, ...WEIGHTS } = DTYPES;

export const STORED_DTYPES: Readonly<Record<StoredDtype, StoredInfo>> = {
  ...WEIGHTS,
  f64: { block: 1, bytes: 8 },
  ...OFFSET_BLOCKS,
  ...K_QUANTS,
};

export const isStoredDtype = (name: string): name is StoredDtype => Object.hasOwn(STORED_DTYPES, name);

/** Whether a backend can use the dtype without conversion. */
export const isWeightType = (dtype: StoredDtype): dtype is WeightType => Object.hasOwn(WEIGHTS, dtype);

const isOffsetBlock = (dtype: StoredDtype): dtype is OffsetBlock => Object.hasOwn(OFFSET_BLOCKS, dtype);

/** Bytes of `count` values, whole blocks. */
export function storedBytes(dtype: StoredDtype, count: number): number {
  const { block, bytes } = STORED_DTYPES[dtype];
  return (count / block) * bytes;
}

/** Decodes whole blocks at any address; `dst` has exactly the length of their values. */
export function decodeStored(dtype: StoredDtype, bytes: Uint8Array, dst: Float32Array): void {
  if (dtype === "f64") decodeFloats(dtype, bytes, dst);
  else if (isWeightType(dtype)) decodeValues(dtype, bytes, dst);
  else if (isOffsetBlock(dtype)) decodeOffsetBlocks(dtype, bytes, dst);
  else decodeKQuant(dtype, bytes, dst);
}

/** Position in a block of the byte with the exponent of its only scale, and the bits of it that are all set in infinity. */
const EXPONENTS: Partial<Record<StoredDtype, readonly [at: number, mask: number]>> = {
  f16: [1, 0x7c],
  q8_0: [1, 0x7c],
  q4_0: [1, 0x7c],
};

/** Number of values decoded at a time in the search for one that is not finite. */
const CHUNK = 2 ** 14;

/**
 * Index of the first value that is NaN or infinite, or -1. Naively all values are decoded and checked; in formats whose
 * blocks have one scale, only the scale is checked.
 */
export function firstNonFiniteStored(dtype: StoredDtype, bytes: Uint8Array): number {
  const { block, bytes: width } = STORED_DTYPES[dtype];
  const exponent = EXPONENTS[dtype];
  if (exponent !== undefined) {
    const [at, mask] = exponent;
    for (let i = at; i < bytes.length; i += width) if ((bytes[i]! & mask) === mask) return ((i - at) / width) * block;
    return -1;
  }
  const values = new Float32Array(CHUNK);
  const step = storedBytes(dtype, CHUNK);
  for (let start = 0; start < bytes.length; start += step) {
    const piece = bytes.subarray(start, start + step);
    const decoded = values.subarray(0, (piece.length / width) * block);
    decodeStored(dtype, piece, decoded);
    const i = firstNonFinite(decoded);
    if (i !== -1) return (start / width) * block + i;
  }
  return -1;
}
