import type { StoredDtype } from "../../dtype/stored.js";

/**
 * GGUF, llama.cpp's file format (ggml's docs/gguf.md and ggml/include/gguf.h define it), little-endian:
 *
 *     "GGUF", u32 version, u64 tensors, u64 entries of metadata
 *     each entry: string key, u32 type, value
 *     each tensor: string name, u32 dimensions, u64 each dimension (row length first), u32 type, u64 offset
 *     padding to the alignment, then the data; offsets count from here, each a multiple of the alignment
 *
 * A string is a u64 length and UTF-8, an array a u32 type of its elements, a u64 count and their values. Versions 2 and 3
 * differ in nothing else; version 1 had lengths in 32 bits.
 */
export const GGUF_MAGIC = 0x46554747;
export const GGUF_VERSION = 3;

/** The default of {@link ALIGNMENT_KEY}. */
export const DEFAULT_ALIGNMENT = 32;
export const ALIGNMENT_KEY = "general.alignment";
/** Maximum length of a tensor's name in bytes (GGML_MAX_NAME - 1), and maximum number of dimensions (GGML_MAX_DIMS). */
export const MAX_NAME_BYTES = 63;
export const MAX_DIMENSIONS = 4;

/** Types of metadata by their numbers. */
export const VALUE_TYPES = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
] as const;

export type ValueType = (typeof VALUE_TYPES)[number];

/** Bytes of one value; for strings and arrays the minimum. */
export const VALUE_BYTES: Readonly<Record<ValueType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  string: 8,
  array: 12,
  u64: 8,
  i64: 8,
  f64: 8,
};

/** Types of tensors by their numbers in enum ggml_type; removed types are omitted. */
const TENSOR_TYPES: Readonly<Record<number, string>> = {
  0: "f32",
  1: "f16",
  2: "q4_0",
  3: "q4_1",
  6: "q5_0",
  7: "q5_1",
  8: "q8_0",
  9: "q8_1",
  10: "q2_K",
  11: "q3_K",
  12: "q4_K",
  13: "q5_K",
  14: "q6_K",
  15: "q8_K",
  16: "iq2_xxs",
  17: "iq2_xs",
  18: "iq3_xxs",
  19: "iq1_s",
  20: "iq4_nl",
  21: "iq3_s",
  22: "iq2_s",
  23: "iq4_xs",
  24: "i8",
  25: "i16",
  26: "i32",
  27: "i64",
  28: "f64",
  29: "iq1_m",
  30: "bf16",
  34: "tq1_0",
  35: "tq2_0",
  39: "mxfp4",
  40: "nvfp4",
};

/** ggml's name of a tensor type, or its number if it is unknown here. */
export const tensorTypeName = (type: number): string => TENSOR_TYPES[type] ?? `number ${type}`;

/** The number of a tensor type that this package reads. */
export function tensorTypeNumber(dtype: StoredDtype): number {
  return Number(Object.keys(TENSOR_TYPES).find((type) => TENSOR_TYPES[Number(type)] === dtype));
}

/** `general.file_type`: the type of most of a file's matrices (enum llama_ftype). */
export const FILE_TYPES = { f32: 0, f16: 1, q4_0: 2, q8_0: 7, bf16: 32 } as const;

/** `general.quantization_version`: the version of the block formats (GGML_QNT_VERSION). */
export const QUANTIZATION_VERSION = 2;
