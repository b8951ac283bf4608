/**
 * Writes the indices of the `count` largest values into ids[0 … count), largest first, the lower index first among equals.
 * Makes one pass with a heap of the best so far, the worst on top. For a small count this costs little more than finding
 * the maximum. Returns false, with no result, where a value is NaN.
 */
export function largest(values: ArrayLike<number>, count: number, ids: Int32Array): boolean {
  for (let i = 0; i < count; i++) {
    if (Number.isNaN(values[i])) return false;
    ids[i] = i;
  }
  for (let i = (count >> 1) - 1; i >= 0; i--) siftDown(values, ids, i, count);
  let bar = values[ids[0]!]!;
  for (let i = above(values, bar, count); i < values.length; i = above(values, bar, i + 1)) {
    if (Number.isNaN(values[i])) return false;
    ids[0] = i;
    siftDown(values, ids, 0, count);
    bar = values[ids[0]!]!;
  }
  // The worst leaves the heap first, and ends up last.
  for (let size = count - 1; size > 0; size--) {
    const worst = ids[0]!;
    ids[0] = ids[size]!;
    ids[size] = worst;
    siftDown(values, ids, 0, size);
  }
  return true;
}

/** The first index from `i` on with a value above `bar` (or NaN), else the length. Checks eight at a time: few are above. */
function above(values: ArrayLike<number>, bar: number, i: number): number {
  const end = values.length;
  while (
    i + 8 <= end &&
    values[i]! <= bar &&
    values[i + 1]! <= bar &&
    values[i + 2]! <= bar &&
    values[i + 3]! <= bar &&
    values[i + 4]! <= bar &&
    values[i + 5]! <= bar &&
    values[i + 6]! <= bar &&
    values[i + 7]! <= bar
  )
    i += 8;
  while (i < end && values[i]! <= bar) i++;
  return i;
}

/** Restores the heap of `size` below index i. */
function siftDown(values: ArrayLike<number>, ids: Int32Array, i: number, size: number): void {
  const id = ids[i]!;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= size) break;
    if (child + 1 < size && isWorse(values, ids[child + 1]!, ids[child]!)) child++;
    if (!isWorse(values, ids[child]!, id)) break;
    ids[i] = ids[child]!;
    i = child;
  }
  ids[i] = id;
}

function isWorse(values: ArrayLike<number>, a: number, b: number): boolean {
  return values[a]! < values[b]! || (values[a] === values[b] && a > b);
}
