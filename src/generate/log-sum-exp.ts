import { GPT2Error } from "../errors.js";
import { expOfNegative } from "./exp.js";

/** The largest value; -∞ if there are none. */
export function largestOf(values: Float32Array | Float64Array): number {
  let max = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i]! > max) max = values[i]!;
  return max;
}

/**
 * log Σ exp(logit). A logit minus this is a log-probability.
 *
 * @throws {GPT2Error} the logits define no distribution: NaN, +∞, or all -∞.
 */
export function logSumExp(logits: Float32Array | Float64Array): number {
  const max = largestOf(logits);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += expOfNegative(logits[i]! - max);
  if (sum > 0) return max + Math.log(sum);
  throw notFinite("sampling the next token", logits.some(Number.isNaN) ? Number.NaN : max);
}

/** The error for logits that define no distribution. */
export function notFinite(op: string, got: number): GPT2Error {
  const hint = "The weights may be damaged, or their training diverged";
  return new GPT2Error({ op, expected: "finite logits", got: String(got), hint });
}
