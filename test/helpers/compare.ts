import assert from "node:assert/strict";

/**
 * The tolerated difference of two results: |got - want| ≤ relative · max(|want|, scale), where scale is the largest
 * |want| of the whole array (an element that is a small difference of large terms carries the error of those terms), or
 * 0 with `elementwise`, and never less than `floor`.
 */
export interface Tolerance {
  readonly relative: number;
  readonly elementwise?: boolean;
  readonly floor?: number;
}

export interface Difference {
  /** The largest difference from the wanted value, in units of that element's scale. */
  readonly relative: number;
  readonly index: number;
  readonly got: number;
  readonly want: number;
}

/** The element that differs most, relative to its scale; equal infinities do not differ, NaN differs from everything. */
export function largestDifference(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { elementwise = false, floor = 0 }: Partial<Tolerance> = {},
): Difference {
  assert.equal(got.length, want.length, "lengths");
  let worst: Difference = { relative: 0, index: 0, got: got[0] ?? 0, want: want[0] ?? 0 };
  const [gots, wants] = [doubles(got), doubles(want)];
  let scale = elementwise ? floor : undefined;
  for (let i = 0; i < wants.length; i++) {
    const g = gots[i]!;
    const w = wants[i]!;
    if (g === w) continue;
    scale ??= largest(wants, floor);
    const unit = Math.max(scale, Math.abs(finite(w)), Number.MIN_VALUE);
    const relative = Number.isFinite(g) && Number.isFinite(w) ? Math.abs(g - w) / unit : Number.POSITIVE_INFINITY;
    if (relative > worst.relative) worst = { relative, index: i, got: g, want: w };
  }
  return worst;
}

/** As one kind of array, so that the engine compiles the loop over millions of elements for it. */
const doubles = (values: ArrayLike<number>): Float64Array =>
  values instanceof Float64Array ? values : new Float64Array(values);

function largest(values: Float64Array, floor: number): number {
  let scale = floor;
  for (let i = 0; i < values.length; i++) scale = Math.max(scale, Math.abs(finite(values[i]!)));
  return scale;
}

const finite = (x: number): number => (Number.isFinite(x) ? x : 0);

/** Fails with the largest difference and its place: as an index, and in the coordinates of `shape` if given. */
export function assertClose(
  what: string,
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  tolerance: Tolerance,
  shape?: readonly number[],
): void {
  const worst = largestDifference(got, want, tolerance);
  if (worst.relative <= tolerance.relative) return;
  const place = shape ? `[${coordinates(worst.index, shape).join(", ")}]` : `[${worst.index}]`;
  assert.fail(
    `${what}: largest difference at ${place}: got ${worst.got}, want ${worst.want}, ` +
      `relative ${worst.relative.toExponential(2)} > ${tolerance.relative.toExponential(2)}`,
  );
}

function coordinates(index: number, shape: readonly number[]): number[] {
  return shape.map((_, axis) => {
    const inner = shape.slice(axis + 1).reduce((n, d) => n * d, 1);
    return axis === 0 ? Math.floor(index / inner) : Math.floor(index / inner) % shape[axis]!;
  });
}
