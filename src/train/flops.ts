import type { GPT2Config } from "../architectures/gpt2/config.js";

/**
 * Floating-point operations of training on one token: 6 for each parameter that multiplies (the tied table counts once,
 * as the head; positions not at all), and 12 C for each key a token attends to in each layer, (T + 1) / 2 on average. For
 * frozen parameters 4, as they have no gradients; an adapter's own are too few to count. Computing the blocks again adds
 * their forward pass, a third of 6 and of 12.
 */
export function trainFlopsPerToken(
  config: GPT2Config,
  T: number,
  { frozen = false, recompute = false }: { readonly frozen?: boolean; readonly recompute?: boolean } = {},
): number {
  const { nEmbd: C, nInner: F, nLayer: L, vocabSize: V } = config;
  const parts = frozen ? 4 : 6;
  const again = recompute ? 2 : 0;
  const keys = (T + 1) / 2;
  return (parts + again) * L * (4 * C * C + 2 * C * F) + parts * V * C + (12 + 2 * again) * L * C * keys;
}
