import { ShapeError } from "../../errors.js";
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
  if (maxNorm > 0 && !norm) throw new ShapeError({ op: "norm", expected: "a tensor, because maxNorm is set" });
  const clip = maxNorm > 0 ? Math.min(1, maxNorm / (norm![0] + 1e-6)) : 1;
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
