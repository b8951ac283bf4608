import { dropoutMask } from "./dropout-mask.js";
import type { Kernel } from "./kernel.js";

export const dropout: Kernel<"dropout"> = ({ out, x, residual }, { N, C }, { p, key0, key1 }) => {
  const factor = dropoutMask(p, key0, key1);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      const f = factor(n, c);
      // A dropped element is 0 even where x is not finite.
      const value = f === 0 ? 0 : x[n * C + c] * f;
      out[n * C + c] = residual ? residual[n * C + c] + value : value;
    }
  }
};
