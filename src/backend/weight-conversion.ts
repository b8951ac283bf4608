import type { MappedRange } from "../checkpoint/byte-source.js";
import type { WeightType } from "../dtype/dtype.js";
import type { DeviceArray } from "./backend.js";

/** Rows [from, to) of a matrix [rows, cols] to be converted to another type or layout. */
export interface WeightConversion {
  /** The whole matrix; if transposed, [cols, rows]. */
  readonly src: Uint8Array | MappedRange;
  readonly srcType: WeightType;
  readonly transposed: boolean;
  readonly rows: number;
  readonly cols: number;
  readonly from: number;
  readonly to: number;
  /** The whole result. Without it the values are only checked; they must then not be transposed. */
  readonly dst?: DeviceArray;
}

/** The conversion that failed, and the reason: a NaN or an infinity, or a number that the result's type can't hold. */
export interface ConversionFailure {
  readonly index: number;
  readonly reason: "not finite" | "too large";
}
