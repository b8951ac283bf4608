import type { Kernel } from "./kernel.js";

export const embeddingForward: Kernel<"embeddingForward"> = ({ out, tokens, positions, wte, wpe }, { N, C }) => {
  for (let n = 0; n < N; n++) {
    const token = tokens[n];
    const position = positions[n];
    for (let c = 0; c < C; c++) out[n * C + c] = wte[token * C + c] + wpe[position * C + c];
  }
};

export const embeddingBackward: Kernel<"embeddingBackward"> = ({ dwte, dwpe, dout, tokens, positions }, { N, C }) => {
  for (let n = 0; n < N; n++) {
    const token = tokens[n];
    const position = positions[n];
    for (let c = 0; c < C; c++) {
      if (dwte) dwte[token * C + c] += dout[n * C + c];
      if (dwpe) dwpe[position * C + c] += dout[n * C + c];
    }
  }
};
