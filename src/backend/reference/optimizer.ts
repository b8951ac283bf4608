import { ShapeError } from "../../errors.js";
import type { HostArray } from "../backend.js";
import type { Kernel } from "./kernel.js";

export const fill: Kernel<"fill"> = ({ x }, { size }, { value }) => {
  x.fill(value, 0, size);
};

export const norm: Kernel<"norm"> = ({ norm, x }, { size }) => {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += x[i] * x[i];
  norm[0] = Math.sqrt(sum);
};

export const adamw: Kernel<"adamw"> = (
  { param, grad, m, v, norm },
  { size },
  { lr, beta1, beta2, epsilon, weightDecay, correction1, correction2, maxNorm },
) => {
  const clip = clipFactor(norm, maxNorm);
  for (let i = 0; i < size; i++) {
    const g = grad[i] * clip;
    const first = beta1 * m[i] + (1 - beta1) * g;
    const second = beta2 * v[i] + (1 - beta2) * g * g;
    m[i] = first;
    v[i] = second;
    const step = first / correction1 / (Math.sqrt(second / correction2) + epsilon);
    param[i] -= lr * (step + weightDecay * param[i]);
  }
};

export const momentum: Kernel<"momentum"> = ({ out, m, grad, norm }, { size }, { momentum, maxNorm }) => {
  const clip = clipFactor(norm, maxNorm);
  for (let i = 0; i < size; i++) {
    const g = grad[i] * clip;
    const mean = m[i] + (1 - momentum) * (g - m[i]);
    m[i] = mean;
    out[i] = g + momentum * (mean - g);
  }
};

export const weightedSum: Kernel<"weightedSum"> = ({ out, a, b, norm }, { size }, { alpha, beta, epsilon }) => {
  const divisor = norm ? Math.max(norm[0], epsilon) : 1;
  for (let i = 0; i < size; i++) out[i] = (alpha * a[i] + (b ? beta * b[i] : 0)) / divisor;
};

export const decayedStep: Kernel<"decayedStep"> = ({ param, step }, { size }, { lr, scale, weightDecay }) => {
  for (let i = 0; i < size; i++) param[i] -= lr * (scale * step[i] + weightDecay * param[i]);
};

/** The factor that brings gradients of the global norm `norm` down to maxNorm, 0 meaning no limit. */
function clipFactor(norm: HostArray | undefined, maxNorm: number): number {
  if (maxNorm === 0) return 1;
  if (!norm) throw new ShapeError({ op: "norm", expected: "a tensor, because maxNorm is set", got: "none" });
  return Math.min(1, maxNorm / (norm[0]! + 1e-6));
}
