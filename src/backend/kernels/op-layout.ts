import { DTYPE_NAMES } from "../../dtype/dtype.js";
import { ACTIVATIONS } from "../../program/activations.js";
import { KERNEL_PATHS } from "../../program/kernel-paths.js";
import { OPS, type OpNumber } from "../../program/ops.js";

/**
 * The binary form of an operation, `Op` in native/op.h, which compiled kernels take. It has room for each tensor, size and
 * number of the widest operation in the table, and is little-endian. native/ops.h is generated from this.
 */

const most = (count: (op: (typeof OPS)[keyof typeof OPS]) => number): number =>
  Math.max(...Object.values(OPS).map(count));

export const MAX_TENSORS = most((op) => Object.keys(op.tensors).length);
export const MAX_DIMS = most((op) => op.dims.length);
export const MAX_SCALARS = most((op) => Object.keys(op.scalars).length);

/** Addresses, always 8 bytes, 0 for an absent tensor. */
export const TENSORS_AT = 0;
/** int64; -1 - i stands for the run's size i. */
export const DIMS_AT = TENSORS_AT + 8 * MAX_TENSORS;
/** float64. */
export const SCALARS_AT = DIMS_AT + 8 * MAX_DIMS;
/** int32: the index of the run's number that replaces the scalar, or -1. */
export const REFS_AT = SCALARS_AT + 8 * MAX_SCALARS;
/** uint16: the position in OP_KINDS. */
export const KIND_AT = REFS_AT + 4 * MAX_SCALARS;
/** uint8 for each tensor: the position in DTYPE_NAMES. */
export const DTYPES_AT = KIND_AT + 2;
export const OP_BYTES = Math.ceil((DTYPES_AT + MAX_TENSORS) / 8) * 8;

/** Incremented with every change to the functions that the compiled kernels export, native or WebAssembly. */
const FUNCTIONS_VERSION = 4;

/** Identifies the table of operations, the binary form and the functions: kernels compiled for a different one are refused. */
export const KERNELS_VERSION = fnv1a(
  JSON.stringify([FUNCTIONS_VERSION, OPS, ACTIVATIONS, KERNEL_PATHS, DTYPE_NAMES, OP_BYTES, DTYPES_AT]),
);

/** A signed 32-bit hash (Fowler, Noll & Vo). */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

const NAMES: readonly (readonly string[])[] = [ACTIVATIONS, KERNEL_PATHS];

/** A number as float64: booleans as 0 and 1, activations and paths as positions in their lists, which share no name. */
export function numberCode(value: OpNumber<number>): number {
  return typeof value === "string" ? NAMES.find((list) => list.includes(value))!.indexOf(value) : Number(value);
}
