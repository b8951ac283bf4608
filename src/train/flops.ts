import type { ModelConfig } from "../architectures/config.js";
import { adaptableLayers } from "../architectures/lora.js";
import { architectureOf } from "../architectures/registry.js";

/**
 * Floating-point operations of training on one token: 6 for each parameter that multiplies (the tied table counts once,
 * as the head; positions not at all), and 12 C for each key a token attends to in each layer. For frozen parameters 4, as
 * they have no gradients; an adapter's own are too few to count. Recomputing the blocks adds their forward pass, a third
 * of 6 and of 12.
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

/** Keys that a token of a sequence attends to on average, of all layers together. */
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
