import type { Kernel } from "./kernel.js";

export const scaleColumns: Kernel<"scaleColumns"> = ({ out, x, gain, index }, { N, C }) => {
  for (let n = 0; n < N; n++) {
    const row = index ? index[n]! : 0;
    for (let c = 0; c < C; c++) out[n * C + c] = x[n * C + c]! * gain[row * C + c]!;
  }
};
