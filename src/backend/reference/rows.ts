import type { Kernel } from "./kernel.js";

export const scatterRows: Kernel<"scatterRows"> = ({ dst, src, index }, { N, W, ldsrc, lddst }) => {
  for (let n = 0; n < N; n++) {
    for (let w = 0; w < W; w++) dst[index[n] * lddst + w] = src[n * ldsrc + w];
  }
};

export const gatherRows: Kernel<"gatherRows"> = ({ out, x, index }, { N, W }) => {
  for (let n = 0; n < N; n++) {
    for (let w = 0; w < W; w++) out[n * W + w] = x[index[n] * W + w];
  }
};
