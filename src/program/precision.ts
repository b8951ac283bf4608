import { specOf } from "./ops.js";
import type { Program } from "./program.js";

/** The precision of matrix products: with bf16, factors are rounded to bf16, and sums are f32. */
export const PRECISIONS = ["f32", "bf16"] as const;
export type Precision = (typeof PRECISIONS)[number];

/** The Program with its matrix products in a precision: it is set on every operation that has a number `bf16`. */
export function withPrecision(program: Program, precision: Precision): Program {
  if (precision === "f32") return program;
  const ops = program.ops.map((op) => {
    const names = Object.keys(specOf(op.kind).scalars);
    return { ...op, scalars: op.scalars.map((value, i) => (names[i] === "bf16" ? true : value)) };
  });
  return { ...program, ops };
}
