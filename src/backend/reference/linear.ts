import { roundToBf16 } from "../../dtype/floats.js";
import { ShapeError } from "../../errors.js";
import type { HostArray } from "../backend.js";
import { ACTIVATION_FUNCTIONS } from "./activation-functions.js";
import type { Kernel } from "./kernel.js";

/** A factor of a product, rounded if the product is in bf16. */
const factor = (values: HostArray, length: number, bf16: boolean | undefined): HostArray =>
  bf16 ? roundToBf16(values, length) : values;

export const linearForward: Kernel<"linearForward"> = (
  { out, preact, x: input, weight: matrix, bias, residual },
  { N, IC, OC },
  { act, bf16 },
) => {
  const [x, weight] = [factor(input, N * IC, bf16), factor(matrix, OC * IC, bf16)];
  const { f } = ACTIVATION_FUNCTIONS[act];
  for (let n = 0; n < N; n++) {
    for (let o = 0; o < OC; o++) {
      let sum = bias ? bias[o] : 0;
      for (let i = 0; i < IC; i++) sum += x[n * IC + i] * weight[o * IC + i];
      if (preact) preact[n * OC + o] = sum;
      const value = f(sum);
      out[n * OC + o] = residual ? residual[n * OC + o] + value : value;
    }
  }
};

export const linearBackwardInput: Kernel<"linearBackwardInput"> = (
  { dx, dout: gradient, weight: matrix, preact },
  { N, IC, OC },
  { act, accumulate, bf16 },
) => {
  if (act !== "none" && !preact) {
    throw new ShapeError({ op: "preact", expected: `a tensor, because act is ${act}`, got: "none" });
  }
  const [dout, weight] = [factor(gradient, N * OC, bf16), factor(matrix, OC * IC, bf16)];
  const { derivative } = ACTIVATION_FUNCTIONS[act];
  const row = new Float64Array(IC);
  for (let n = 0; n < N; n++) {
    row.fill(0);
    for (let o = 0; o < OC; o++) {
      for (let i = 0; i < IC; i++) row[i] += dout[n * OC + o] * weight[o * IC + i];
    }
    for (let i = 0; i < IC; i++) {
      const value = preact ? row[i] * derivative(preact[n * IC + i]) : row[i];
      dx[n * IC + i] = accumulate ? dx[n * IC + i] + value : value;
    }
  }
};

export const linearBackwardWeight: Kernel<"linearBackwardWeight"> = (
  { dweight, dbias, dout, x: input },
  { N, IC, OC },
  { bf16 },
) => {
  const [d, x] = [factor(dout, N * OC, bf16), factor(input, N * IC, bf16)];
  const row = new Float64Array(IC);
  for (let o = 0; o < OC; o++) {
    row.fill(0);
    let sum = 0;
    for (let n = 0; n < N; n++) {
      sum += dout[n * OC + o];
      if (dweight) for (let i = 0; i < IC; i++) row[i] += d[n * OC + o] * x[n * IC + i];
    }
    if (dweight) for (let i = 0; i < IC; i++) dweight[o * IC + i] += row[i];
    if (dbias) dbias[o] += sum;
  }
};
