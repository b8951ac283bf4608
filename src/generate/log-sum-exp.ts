import { GPT2Error } from "../errors.js";
import { expOfNegative } from "./exp.js";

export function largestOf(values: Float32Array | Float64Array): number {
  let max = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i]! > max) max = values[i]!;
  return max;
}

/**
 * log Σ exp(logit): what a logit must be lessened by to become a log-probability.
 *
 * @throws {GPT2Error} logits that define no distribution: NaN, +∞, or nothing but -∞.
 */
export function logSumExp(logits: Float32Array | Float64Array): number {
  const max = largestOf(logits);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += expOfNegative(logits[i]! - max);
  if (sum > 0) return max + Math.log(sum);
  throw new GPT2Error({
    op: "choosing the next token",
    expected: "finite logits",
    got: Number.isFinite(max) ? "NaN" : String(max),
    hint: "The weights may be damaged, or the training run that made them has diverged",
  });
}
