import type { Kernel } from "./kernel.js";

export const crossEntropy: Kernel<"crossEntropy"> = ({ losses, dlogits, logits, targets }, { N, V }, { scale }) => {
  for (let n = 0; n < N; n++) {
    const target = targets[n];
    if (target < 0) {
      losses[n] = 0;
      if (dlogits) dlogits.fill(0, n * V, (n + 1) * V);
      continue;
    }
    let max = -Infinity;
    for (let c = 0; c < V; c++) max = Math.max(max, logits[n * V + c]);
    let sum = 0;
    for (let c = 0; c < V; c++) sum += Math.exp(logits[n * V + c] - max);
    const logSum = max + Math.log(sum);
    losses[n] = logSum - logits[n * V + target];
    if (!dlogits) continue;
    for (let c = 0; c < V; c++) {
      const probability = Math.exp(logits[n * V + c] - logSum);
      dlogits[n * V + c] = scale * (probability - (c === target ? 1 : 0));
    }
  }
};
