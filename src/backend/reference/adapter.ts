import { checkIndex, type Kernel, rowCount } from "./kernel.js";

export const scaleColumns: Kernel<"scaleColumns"> = ({ out, x, gain, index }, { N, C }) => {
  const rows = rowCount(gain, C);
  for (let n = 0; n < N; n++) {
    const row = index ? index[n]! : 0;
    checkIndex("index", n, row, rows);
    for (let c = 0; c < C; c++) out[n * C + c] = x[n * C + c]! * gain[row * C + c]!;
  }
};
