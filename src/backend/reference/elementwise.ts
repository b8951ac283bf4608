import type { Kernel } from "./kernel.js";

export const add: Kernel<"add"> = ({ out, a, b }, { N, C }) => {
  for (let i = 0; i < N * C; i++) out[i] = a[i] + b[i];
};

export const multiply: Kernel<"multiply"> = ({ out, a, b }, { N, C }) => {
  for (let i = 0; i < N * C; i++) out[i] = a[i] * b[i];
};
