import { ShapeError } from "../../errors.js";
import type { HostArray } from "../backend.js";
import { dropoutMask } from "./dropout-mask.js";
import type { Kernel } from "./kernel.js";

function dot(a: HostArray, aStart: number, b: HostArray, bStart: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[aStart + i] * b[bStart + i];
  return sum;
}

export const attentionForward: Kernel<"attentionForward"> = (
  { out, lse, q, k, v, first, last },
  { N, NH, HS, ldq, ldkv },
  { scale, p, key0, key1 },
) => {
  const factor = dropoutMask(p, key0, key1);
  for (let n = 0; n < N; n++) {
    const length = last[n] - first[n] + 1;
    for (let h = 0; h < NH; h++) {
      const kv = (j: number): number => (first[n] + j) * ldkv + h * HS;
      const scores = new Float64Array(length);
      for (let j = 0; j < length; j++) scores[j] = scale * dot(q, n * ldq + h * HS, k, kv(j), HS);
      const max = scores.reduce((a, b) => Math.max(a, b), -Infinity);
      const sum = scores.reduce((total, score) => total + Math.exp(score - max), 0);
      const logSum = max + Math.log(sum);
      if (lse) lse[n * NH + h] = logSum;
      const weights = scores.map((score, j) => Math.exp(score - logSum) * factor(n * NH + h, j));
      for (let i = 0; i < HS; i++) {
        let value = 0;
        for (let j = 0; j < length; j++) value += weights[j] * v[kv(j) + i];
        out[n * NH * HS + h * HS + i] = value;
      }
    }
  }
};

/** @throws {ShapeError} unless the tokens are packed as attentionBackward requires (src/program/ops.ts). */
function checkPacked(first: HostArray, last: HostArray, N: number): void {
  let seen = -1;
  let start = 0;
  for (let n = 0; n < N; n++) {
    const before = n > 0 ? first[n - 1] : -1;
    const slides = n > 0 && first[n] > before && first[n] <= last[n - 1];
    if (n > 0 && first[n] !== before && !slides) start = seen + 1;
    if (first[n] < start) {
      throw new ShapeError({
        op: `first[${n}]`,
        expected: `${start} or more, after the rows that other sequences see`,
        got: String(first[n]),
      });
    }
    seen = Math.max(seen, last[n]);
  }
}

/**
 * With P = exp(S - lse) the weights, M the dropout factors and out = Σ P M v:
 * dv = P M dout, dP = M (dout · v), dS = P (dP - Σ P dP) where Σ P dP = dout · out, dq = scale dS k, dk = scale dS q.
 */
export const attentionBackward: Kernel<"attentionBackward"> = (
  { dq, dk, dv, dout, out, lse, q, k, v, first, last },
  { N, NH, HS, ldq, ldkv },
  { scale, p, key0, key1 },
) => {
  checkPacked(first, last, N);
  const factor = dropoutMask(p, key0, key1);
  const C = NH * HS;
  const sumK = new Float64Array(N * C);
  const sumV = new Float64Array(N * C);
  for (let n = 0; n < N; n++) {
    for (let h = 0; h < NH; h++) {
      const here = n * C + h * HS;
      const query = n * ldq + h * HS;
      const sumQ = new Float64Array(HS);
      const average = dot(dout, here, out, here, HS);
      for (let row = first[n]; row <= last[n]; row++) {
        const kv = row * ldkv + h * HS;
        const weight = Math.exp(scale * dot(q, query, k, kv, HS) - lse[n * NH + h]);
        const mask = factor(n * NH + h, row - first[n]);
        const dscore = scale * weight * (mask * dot(dout, here, v, kv, HS) - average);
        for (let i = 0; i < HS; i++) {
          sumQ[i] += dscore * k[kv + i];
          sumK[row * C + h * HS + i] += dscore * q[query + i];
          sumV[row * C + h * HS + i] += weight * mask * dout[here + i];
        }
      }
      for (let i = 0; i < HS; i++) dq[query + i] = sumQ[i];
    }
  }
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      dk[n * ldkv + c] = sumK[n * C + c];
      dv[n * ldkv + c] = sumV[n * C + c];
    }
  }
};
