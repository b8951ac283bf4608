import type { OpKind } from "../../../src/program/ops.js";
import type { Tolerance } from "../compare.js";
import type { OpCase } from "../op-case.js";
import { ULP } from "../tolerances.js";

/** An operation's part of the conformance suite. */
export interface OpTest<K extends OpKind> {
  /** Of backends in single precision: see tolerances.ts. */
  readonly tolerance: Tolerance;
  /** Of the reference in single precision, which computes in double precision and rounds what it stores: half an ulp. */
  readonly referenceTolerance: Tolerance;
  /**
   * Cases at odd sizes, on both sides of the sizes at which kernels change path, with optional tensors present and
   * absent.
   */
  readonly cases: readonly OpCase<K>[];
}

/** @param ulps by which a backend may be off, relative to the largest value of each result */
export function opTest<K extends OpKind>(
  ulps: number,
  cases: readonly OpCase<K>[],
  referenceUlps = Math.min(ulps, 0.5),
): OpTest<K> {
  return { tolerance: { relative: ulps * ULP }, referenceTolerance: { relative: referenceUlps * ULP }, cases };
}
