import type { ModelConfig } from "../architectures/config.js";
import { adaptableLayers } from "../architectures/lora.js";
import { architectureOf } from "../architectures/registry.js";

/**
 * Floating-point operations of training on one token: 6 for each parameter that multiplies (a tied table counts once, as the
 * head; positions do not count), and 12 C for each key that a token attends to in each layer. A frozen parameter takes 4,
 * because it has no gradient; an adapter's own parameters are too few to count. Recomputing the blocks adds their forward
 * pass, a third of 6 and of 12.
 */
export function trainFlopsPerToken(
  config: ModelConfig,
  T: number,
  { frozen = false, recompute = false }: { readonly frozen?: boolean; readonly recompute?: boolean } = {},
): number {
  const { nEmbd: C, vocabSize: V } = config;
  const matrices = [...adaptableLayers(config).values()].reduce((sum, [out, width]) => sum + out * width, 0);
  const parts = frozen ? 4 : 6;
  const recomputed = recompute ? 2 : 0;
  return (parts + recomputed) * matrices + parts * V * C + (12 + 2 * recomputed) * C * keysPerToken(config, T);
}

/** Number of keys that a token of a sequence attends to on average, summed over layers. */
function keysPerToken(config: ModelConfig, T: number): number {
  const { window } = architectureOf(config);
  let keys = 0;
  for (let layer = 0; layer < config.nLayer; layer++) {
    const W = Math.min(T, window(config, layer) ?? T);
    // Token t of a causal sequence, from 1, sees min(t, W).
    keys += ((W * (W + 1)) / 2 + (T - W) * W) / T;
  }
  return keys;
}
