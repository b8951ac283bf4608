import { ACTIVATION_FUNCTIONS } from "./activation-functions.js";
import type { Kernel } from "./kernel.js";

export const activation: Kernel<"activation"> = ({ out, x }, { N, C }, { act }) => {
  const { f } = ACTIVATION_FUNCTIONS[act];
  for (let i = 0; i < N * C; i++) out[i] = f(x[i]!);
};

export const activationBackward: Kernel<"activationBackward"> = ({ dx, dout, x }, { N, C }, { act }) => {
  const { derivative } = ACTIVATION_FUNCTIONS[act];
  for (let i = 0; i < N * C; i++) dx[i] = dout[i]! * derivative(x[i]!);
};
