import type { Part } from "../op-case.js";
import { RandomArrays } from "../random-arrays.js";

/** Contents for the cases of one file, reproducible from its seed. */
export class CaseContents {
  readonly random: RandomArrays;

  constructor(seed: number) {
    this.random = new RandomArrays(seed);
  }

  floats(length: number, deviation = 1, mean = 0): Float32Array {
    return this.random.floats(length, deviation, mean);
  }

  /** Random contents of N rows of width W, and of the spare rows. */
  rows(N: number, W: number, deviation = 1, mean = 0): Float32Array {
    return this.random.floats((N + SPARE_ROWS) * W, deviation, mean);
  }

  /** N random row numbers below `limit`, and indices for the spare rows. */
  indices(N: number, limit: number): Int32Array {
    return withSpareIndices(this.random.integers(N, limit));
  }
}

/** Room for rows beyond those in use, because a size that is set at each run may be below its maximum. */
export const SPARE_ROWS = 2;

/** The value of an index beyond the rows in use: a kernel that reads it goes far astray. */
const NOWHERE = 1_000_000_000;

export const withSpareIndices = (values: ArrayLike<number>): Int32Array =>
  Int32Array.from([...Array.from(values), ...new Array<number>(SPARE_ROWS).fill(NOWHERE)]);

/** The start of a buffer that several tensors share. */
export const startOf = (buffer: string): Part => ({ buffer, at: 0 });
