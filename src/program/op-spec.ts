import type { ActivationOrNone } from "./activations.js";

/** The vocabulary of the table of operations, src/program/ops.ts. */

/** In place of a tensor's first size: as many rows as the tensor has. Which of them are used, an index tensor says. */
export const ANY_ROWS = "*";

export interface OpTensor {
  /** Read, overwritten, or updated in place. */
  readonly access: "read" | "write" | "update";
  readonly optional: boolean;
  /** `weight`: f32 or any packed type (src/dtype). `cached`: f32 or f16. */
  readonly dtype: "f32" | "i32" | "weight" | "cached";
  /** Names of sizes, the outermost first; none for a single number. */
  readonly shape: readonly string[];
  /** The size that says how many elements lie from the start of a row to the next; without it rows are contiguous. */
  readonly stride?: string;
  /** Of an i32 tensor: what its values may be. */
  readonly range?: IndexRange;
}

/**
 * The values of an index tensor: row numbers of other tensors (those of an absent one are unlimited), which may have to
 * reach no further than another index does; or class numbers below a size, where a negative one stands for none.
 */
export type IndexRange = { readonly rowsOf: readonly string[]; readonly upTo?: string } | { readonly classes: string };

/**
 * What a number of an operation is, a list being the activations it may name, `path` one of KERNEL_PATHS, the Program's own
 * by default. Only `real` and `uint32` may be set at each run.
 */
export type NumberSpec = "real" | "uint32" | "boolean" | "path" | readonly ActivationOrNone[];

export interface OpSpec {
  readonly dims: readonly string[];
  readonly tensors: Readonly<Record<string, OpTensor>>;
  readonly scalars: Readonly<Record<string, NumberSpec>>;
  /** Pairs of a written and a read tensor that may be one and the same memory. */
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
/** i32: row numbers of `tensors`, none above that of `last` in the same place. */
export const rowsUpTo = (last: string, tensors: readonly string[], ...shape: string[]) =>
  ({ ...plain("read", shape), dtype: "i32", range: { rowsOf: tensors, upTo: last } }) as const;
/** i32: class numbers below the size `classes`; negative ones stand for none. */
export const classesBelow = (classes: string, ...shape: string[]) =>
  ({ ...plain("read", shape), dtype: "i32", range: { classes } }) as const;

export const optional = <T extends OpTensor>(tensor: T) => ({ ...tensor, optional: true }) as const;
/** Rows `stride` elements apart. */
export const strided = <T extends OpTensor>(stride: string, tensor: T) => ({ ...tensor, stride }) as const;

/**
 * The elements that an operation touches of a tensor, from the start of the first row to the end of the last. 0 where that
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
