import type { Kernel } from "./kernel.js";

export const layernormForward: Kernel<"layernormForward"> = (
  { out, mean, rstd, x, weight, bias },
  { N, C },
  { epsilon },
) => {
  for (let n = 0; n < N; n++) {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += x[n * C + c];
    const mu = sum / C;
    let squares = 0;
    for (let c = 0; c < C; c++) squares += (x[n * C + c] - mu) ** 2;
    const r = 1 / Math.sqrt(squares / C + epsilon);
    for (let c = 0; c < C; c++) out[n * C + c] = (x[n * C + c] - mu) * r * weight[c] + bias[c];
    if (mean) mean[n] = mu;
    if (rstd) rstd[n] = r;
  }
};

/**
 * With x̂ = (x - mean) rstd and g = dout ⊙ weight: dx = rstd (g - average(g) - x̂ average(g ⊙ x̂)), the averages over the
 * row, because mean and rstd depend on x as well.
 */
export const layernormBackward: Kernel<"layernormBackward"> = (
  { dx, dweight, dbias, dout, x, weight, mean, rstd },
  { N, C },
  { overwrite },
) => {
  const normalized = (n: number, c: number): number => (x[n * C + c] - mean[n]) * rstd[n];
  for (let n = 0; n < N; n++) {
    let sumG = 0;
    let sumGX = 0;
    for (let c = 0; c < C; c++) {
      const g = dout[n * C + c] * weight[c];
      sumG += g;
      sumGX += g * normalized(n, c);
    }
    for (let c = 0; c < C; c++) {
      const g = dout[n * C + c] * weight[c];
      const gradient = rstd[n] * (g - sumG / C - (normalized(n, c) * sumGX) / C);
      dx[n * C + c] = overwrite ? gradient : dx[n * C + c] + gradient;
    }
  }
  for (let c = 0; c < C; c++) {
    let sumWeight = 0;
    let sumBias = 0;
    for (let n = 0; n < N; n++) {
      sumWeight += dout[n * C + c] * normalized(n, c);
      sumBias += dout[n * C + c];
    }
    if (dweight) dweight[c] += sumWeight;
    if (dbias) dbias[c] += sumBias;
  }
};
