import type { Kernel } from "./kernel.js";

/** Ids of a block. */
const BLOCK = 64;

export const summariseRows: Kernel<"summariseRows"> = (tensors, { N, V, L, B }) => {
  const { tops, sums, bars, totals, logits, scales, shares, floors } = tensors;
  for (let n = 0; n < N; n++) {
    const row = Array.from({ length: L }, (_, id): number => logits[n * V + id]);
    const [scale, share, floor] = [scales[n], shares[n], floors[n]];
    const topOf = (values: readonly number[]) =>
      values.some(Number.isNaN) ? Infinity : Math.max(-Infinity, ...values);
    const blocks = Array.from({ length: B }, (_, b) => topOf(row.slice(b * BLOCK, (b + 1) * BLOCK)));
    const largest = Math.max(...blocks);
    const weights = row.map((x) => Math.exp(scale * (x - largest)));
    const total = weights.reduce((a, b) => a + b, 0);
    const usable = scale !== 0 && Number.isFinite(largest);
    let bar = -Infinity;
    if (usable && share < 1) {
      // The likeliest first, equals together.
      const order = [...row.keys()].sort((a, b) => row[b]! - row[a]!);
      let sum = 0;
      for (const id of order) {
        if (sum >= share * total && sum > 0 && row[id]! < bar) break;
        bar = row[id]!;
        sum += weights[id]!;
      }
    }
    bars[n] = usable ? Math.max(bar, largest + floor) : 0;
    totals[n] = usable ? total : 0;
    for (let b = 0; b < B; b++) {
      let sum = 0;
      for (let id = b * BLOCK; id < Math.min(L, (b + 1) * BLOCK); id++) if (row[id]! >= bars[n]) sum += weights[id]!;
      tops[n * B + b] = blocks[b]!;
      sums[n * B + b] = usable ? sum : 0;
    }
  }
};
