import type { ActivationOrNone } from "./activations.js";

/** The vocabulary of the table of operations, src/program/ops.ts. */

/** In place of a tensor's first size: as many rows as the tensor has. An index tensor says which of them are used. */
export const ANY_ROWS = "*";

export interface OpTensor {
  /** Read, overwritten, or updated in place. */
  readonly access: "read" | "write" | "update";
  readonly optional: boolean;
  /** `weight`: f32 or any packed type (src/dtype). `cached`: f32 or f16. */
  readonly dtype: "f32" | "i32" | "weight" | "cached";
  /** Names of sizes, the outermost first; none for a single number. */
  readonly shape: readonly string[];
  /** The size that gives the distance from the start of a row to the next, in elements; without it rows are contiguous. */
  readonly stride?: string;
  /** For an i32 tensor: the range of its values. */
  readonly range?: IndexRange;
}

/**
 * The values of an index tensor: row numbers of other tensors (an absent one imposes no limit), possibly limited by another
 * index; or class numbers below a size, where a negative one stands for none.
 */
export type IndexRange = { readonly rowsOf: readonly string[]; readonly upTo?: string } | { readonly classes: string };

/**
 * The type of an operation's number; a list has the activations it may name, `path` is one of KERNEL_PATHS, by default the
 * Program's own. Only `real` and `uint32` may be set at each run.
 */
export type NumberSpec = "real" | "uint32" | "boolean" | "path" | readonly ActivationOrNone[];

export interface OpSpec {
  readonly dims: readonly string[];
  readonly tensors: Readonly<Record<string, OpTensor>>;
  readonly scalars: Readonly<Record<string, NumberSpec>>;
  /** Pairs of a written and a read tensor that may share the same memory. */
  readonly inPlace?: readonly (readonly [string, string])[];
}

const plain = <A extends OpTensor["access"]>(access: A, shape: readonly string[]) =>
  ({ access, optional: false, dtype: "f32", shape }) as const;

export const read = (...shape: string[]) => plain("read", shape);
export const write = (...shape: string[]) => plain("write", shape);
export const update = (...shape: string[]) => plain("update", shape);
export const weight = (...shape: string[]) => ({ ...plain("read", shape), dtype: "weight" }) as const;

/** Keys and values, which may be held in f16. */
export const cached = <A extends OpTensor["access"]>(access: A, ...shape: string[]) =>
  ({ ...plain(access, shape), dtype: "cached" }) as const;

/** i32: row numbers of `tensors`. */
export const rowsOf = (tensors: readonly string[], ...shape: string[]) =>
  ({ ...plain("read", shape), dtype: "i32", range: { rowsOf: tensors } }) as const;
/** i32: row numbers of `tensors`, none above the value of `last` in the same position. */
export const rowsUpTo = (last: string, tensors: readonly string[], ...shape: string[]) =>
  ({ ...plain("read", shape), dtype: "i32", range: { rowsOf: tensors, upTo: last } }) as const;
/** i32: class numbers below the size `classes`; negative ones stand for none. */
export const classesBelow = (classes: string, ...shape: string[]) =>
  ({ ...plain("read", shape), dtype: "i32", range: { classes } }) as const;

export const optional = <T extends OpTensor>(tensor: T) => ({ ...tensor, optional: true }) as const;
/** Rows that start `stride` elements apart. */
export const strided = <T extends OpTensor>(stride: string, tensor: T) => ({ ...tensor, stride }) as const;

/**
 * The number of elements that an operation touches in a tensor, from the start of the first row to the end of the last. 0 where it
 * depends on the contents of an index, which is checked when a Program runs.
 */
export function extentOf({ shape, stride }: OpTensor, dims: Readonly<Record<string, number>>): number {
  const [first, ...inner] = shape;
  if (first === undefined) return 1;
  if (first === ANY_ROWS) return 0;
  const [rows, width] = [dims[first]!, inner.reduce((n, size) => n * dims[size]!, 1)];
  return rows === 0 ? 0 : (rows - 1) * (stride === undefined ? width : dims[stride]!) + width;
}

export const isWritten = ({ access }: OpTensor): boolean => access !== "read";
export const isRead = ({ access }: OpTensor): boolean => access !== "write";
