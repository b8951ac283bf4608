import { mix32, randomBits } from "../../util/random.js";
import type { Kernel } from "./kernel.js";

/**
 * The dropout masks of one op: `factor(row, column)` is 0 for an element dropped with probability p, else 1 / (1 - p).
 * Every backend draws the same: an element is kept when randomBits(key0, mix32(key1 + row), column) ≥ ⌊p · 2³²⌋.
 */
export function dropoutMask(p: number, key0: number, key1: number): (row: number, column: number) => number {
  if (p === 0) return () => 1;
  const threshold = Math.floor(p * 2 ** 32);
  const kept = 1 / (1 - p);
  return (row, column) => (randomBits(key0 >>> 0, mix32((key1 >>> 0) + row), column) >= threshold ? kept : 0);
}

export const dropout: Kernel<"dropout"> = ({ out, x, residual }, { N, C }, { p, key0, key1 }) => {
  const factor = dropoutMask(p, key0, key1);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      const f = factor(n, c);
      // What is dropped is 0 even where x is not finite.
      const value = f === 0 ? 0 : x[n * C + c] * f;
      out[n * C + c] = residual ? residual[n * C + c] + value : value;
    }
  }
};
