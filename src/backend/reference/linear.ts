import { ShapeError } from "../../errors.js";
import { ACTIVATION_FUNCTIONS } from "./activation-functions.js";
import type { Kernel } from "./kernel.js";

export const linearForward: Kernel<"linearForward"> = (
  { out, preact, x, weight, bias, residual },
  { N, IC, OC },
  { act },
) => {
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
  { dx, dout, weight, preact },
  { N, IC, OC },
  { act, accumulate },
) => {
  if (act !== "none" && !preact) {
    throw new ShapeError({ op: "preact", expected: `a tensor, because act is ${act}`, got: "none" });
  }
  const { derivative } = ACTIVATION_FUNCTIONS[act];
  const row = new Float64Array(IC);
  for (let n = 0; n < N; n++) {
    row.fill(0);
    for (let o = 0; o < OC; o++) {
      for (let i = 0; i < IC; i++) row[i] += dout[n * OC + o] * weight[o * IC + i];
    }
    for (let i = 0; i < IC; i++) {
      const gradient = preact ? row[i] * derivative(preact[n * IC + i]) : row[i];
      dx[n * IC + i] = accumulate ? dx[n * IC + i] + gradient : gradient;
    }
  }
};

export const linearBackwardWeight: Kernel<"linearBackwardWeight"> = ({ dweight, dbias, dout, x }, { N, IC, OC }) => {
  const row = new Float64Array(IC);
  for (let o = 0; o < OC; o++) {
    row.fill(0);
    let sum = 0;
    for (let n = 0; n < N; n++) {
      const d = dout[n * OC + o];
      sum += d;
      if (dweight) for (let i = 0; i < IC; i++) row[i] += d * x[n * IC + i];
    }
    if (dweight) for (let i = 0; i < IC; i++) dweight[o * IC + i] += row[i];
    if (dbias) dbias[o] += sum;
  }
};
