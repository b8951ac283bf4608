import { mix32, randomBits } from "../../util/random.js";

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
