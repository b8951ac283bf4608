import type { SparseRow } from "./tfidf.js";

/** Weights [features + 1], the intercept last. */
export type LogisticWeights = Float64Array;

/** Log-odds of the positive class. */
export function logOdds(weights: LogisticWeights, { indices, values }: SparseRow): number {
  let sum = weights.at(-1)!;
  for (let i = 0; i < indices.length; i++) sum += weights[indices[i]!]! * values[i]!;
  return sum;
}

/** Largest element of the gradient at the end: the loss is then minimal to double precision. */
const TOLERANCE = 1e-9;
const MAX_STEPS = 100;

/**
 * Logistic regression with an L2 penalty that includes the intercept, like scikit-learn's liblinear solver: the minimum of
 *
 *     ½ |w|² + C Σ ln(1 + exp(-y_i w·x_i)),   y_i = ±1
 *
 * by Newton's method. Conjugate gradients solve each step, so the Hessian I + C XᵀDX is never formed. The minimum is unique,
 * and sums go over texts in order, so the same texts give the same bits.
 *
 * @param start initial weights, such as those for another C
 */
export function fitLogistic(
  rows: readonly SparseRow[],
  positive: readonly boolean[],
  features: number,
  C: number,
  start: LogisticWeights = new Float64Array(features + 1),
): LogisticWeights {
  const w = start.slice();
  const signs = positive.map((is) => (is ? 1 : -1));
  for (let step = 0; step < MAX_STEPS; step++) {
    const odds = rows.map((row) => logOdds(w, row));
    const gradient = w.slice();
    const curvatures = new Float64Array(rows.length);
    for (const [i, row] of rows.entries()) {
      const wrong = 1 / (1 + Math.exp(signs[i]! * odds[i]!));
      addRow(gradient, row, -C * signs[i]! * wrong);
      curvatures[i] = C * wrong * (1 - wrong);
    }
    if (gradient.every((g) => Math.abs(g) < TOLERANCE)) break;
    const direction = solveNewton(rows, curvatures, gradient);
    const before = loss(w, odds, signs, C);
    const slope = dot(gradient, direction);
    // Halve the step until the loss falls enough (Armijo). Below the precision of the loss, take the whole step.
    let size = 1;
    for (; size > 1e-10; size /= 2) {
      const moved = w.map((x, i) => x + size * direction[i]!);
      const after = loss(
        moved,
        rows.map((row) => logOdds(moved, row)),
        signs,
        C,
      );
      if (after <= before + 1e-4 * size * slope + 1e-14 * Math.abs(before)) break;
    }
    for (let i = 0; i < w.length; i++) w[i]! += size * direction[i]!;
  }
  return w;
}

function loss(w: Float64Array, odds: readonly number[], signs: readonly number[], C: number): number {
  const data = odds.reduce((sum, z, i) => {
    const margin = signs[i]! * z;
    return sum + (margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin);
  }, 0);
  return dot(w, w) / 2 + C * data;
}

/** Solves (I + XᵀDX) v = -gradient, where D holds the curvatures. */
function solveNewton(rows: readonly SparseRow[], curvatures: Float64Array, gradient: Float64Array): Float64Array {
  const v = new Float64Array(gradient.length);
  const residual = gradient.map((g) => -g);
  let direction = residual.slice();
  let size = dot(residual, residual);
  const target = size * Math.min(1e-4, size) + 1e-26;
  for (let i = 0; i < 500 && size > target; i++) {
    const product = direction.slice();
    for (const [r, row] of rows.entries()) addRow(product, row, curvatures[r]! * logOdds(direction, row));
    const step = size / dot(direction, product);
    for (let k = 0; k < v.length; k++) {
      v[k]! += step * direction[k]!;
      residual[k]! -= step * product[k]!;
    }
    const next = dot(residual, residual);
    const ratio = next / size;
    direction = direction.map((d, k) => residual[k]! + ratio * d);
    size = next;
  }
  return v;
}

/** Adds `factor` times a row, which has a 1 for the intercept. */
function addRow(out: Float64Array, { indices, values }: SparseRow, factor: number): void {
  for (let i = 0; i < indices.length; i++) out[indices[i]!]! += factor * values[i]!;
  out[out.length - 1]! += factor;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
