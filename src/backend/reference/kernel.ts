import { ShapeError } from "../../errors.js";
import type { DimArgs, OpKind, ScalarArgs, TensorArgs } from "../../program/ops.js";
import type { HostArray } from "../backend.js";

/**
 * One operation in plain loops. Each tensor is a view that starts at the tensor's first element and ends with it.
 * Sums are kept in double precision whatever the precision of the tensors, and rounded once, when stored.
 */
export type Kernel<K extends OpKind> = (
  tensors: TensorArgs<K, HostArray>,
  dims: DimArgs<K, number>,
  scalars: ScalarArgs<K, number>,
) => void;

/** @throws {ShapeError} unless `value`, which is `role[n]`, is from 0 to limit - 1. */
export function checkIndex(role: string, n: number, value: number, limit: number): void {
  if (value >= 0 && value < limit) return;
  throw new ShapeError({ op: `${role}[${n}]`, expected: `from 0 to ${limit - 1}`, got: String(value) });
}

/** Whole rows of `width` in an array whose rows start `stride` apart. */
export function rowCount(array: HostArray, width: number, stride = width): number {
  return array.length < width ? 0 : Math.floor((array.length - width) / stride) + 1;
}
