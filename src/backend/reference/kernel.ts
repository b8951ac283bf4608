import type { DimArgs, OpKind, ScalarArgs, TensorArgs } from "../../program/ops.js";
import type { HostArray } from "../backend.js";

/**
 * An operation in plain loops. Each tensor is a view of its own elements only, and index tensors have been checked. Sums are kept
 * in double precision whatever the precision of the tensors, and rounded once, when stored.
 */
export type Kernel<K extends OpKind> = (
  tensors: TensorArgs<K, HostArray>,
  dims: DimArgs<K, number>,
  scalars: ScalarArgs<K, number>,
) => void;
