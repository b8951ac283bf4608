import { OP_KINDS, type OpKind } from "../../src/program/ops.js";
import type { Tolerance } from "./compare.js";

/** The distance between neighbouring numbers just above 1 in single precision. */
const ULP = 2 ** -23;

/**
 * How far a backend in single precision may lie from the reference in double precision, given the same single-precision
 * inputs; relative to the largest value of each result, as errors of sums are. Rounding errors of a sum of K terms grow
 * like a random walk, some √K / 4 ulp. Each tolerance is two to four times the largest error of the C kernels on any
 * instruction set (in parentheses, in ulp):
 *
 * - copies are exact, and a dropout mask is the same bits: only scaling and adding the residual round (0.7);
 * - embedding: one sum of two forward (0.4); backward, a sum of as many terms as a token occurs (0.7);
 * - layernorm: sums of C, squares, a reciprocal root (2.2); backward also sums over up to 130 rows (4.2);
 * - linear: sums of up to 1,301 products, GELU and its derivative (10);
 * - attention: two products, and between them exponentials of scores up to about 10, whose absolute error is their
 *   relative one (7.5); backward, differences of such (12);
 * - crossEntropy: the same with logits up to 100, but losses as large (0.9);
 * - norm: summed in double precision, rounded once (0.3); adamw: some ten roundings an element (0.8);
 * - scaleColumns: one product (0.5), add and multiply: one rounding (0.5); activation: GELU (1); activationBackward: its derivative (4.5).
 */
export const F32_TOLERANCES: Readonly<Record<OpKind, Tolerance>> = {
  embeddingForward: { relative: ULP },
  embeddingBackward: { relative: 2 * ULP },
  layernormForward: { relative: 8 * ULP },
  layernormBackward: { relative: 16 * ULP },
  linearForward: { relative: 24 * ULP },
  linearBackwardInput: { relative: 24 * ULP },
  linearBackwardWeight: { relative: 24 * ULP },
  attentionForward: { relative: 24 * ULP },
  attentionBackward: { relative: 48 * ULP },
  scatterRows: { relative: 0 },
  gatherRows: { relative: 0 },
  dropout: { relative: 2 * ULP },
  crossEntropy: { relative: 4 * ULP },
  fill: { relative: 0 },
  norm: { relative: ULP },
  adamw: { relative: 4 * ULP },
  scaleColumns: { relative: ULP },
  activation: { relative: 4 * ULP },
  activationBackward: { relative: 12 * ULP },
  add: { relative: ULP / 2 },
  multiply: { relative: ULP / 2 },
};

/**
 * The reference in single precision computes in double precision and rounds what it stores: half an ulp, and once more
 * for each time that an element of dwte or dwpe is added to, and for activations rounded for integer products.
 */
export const REFERENCE_F32_TOLERANCES: Readonly<Record<OpKind, Tolerance>> = {
  ...(Object.fromEntries(OP_KINDS.map((kind) => [kind, { relative: ULP / 2 }])) as Record<OpKind, Tolerance>),
  embeddingBackward: { relative: 2 * ULP },
  linearForward: { relative: 2 * ULP },
};
