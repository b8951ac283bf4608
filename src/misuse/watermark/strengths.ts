import type { WatermarkScheme } from "../../generate/watermark/options.js";
import type { Strength } from "./power.js";

/**
 * Strengths of marks in texts of the default model with its own sampling, fitted to the shares of texts that are found
 * (docs/watermark.md) by scripts/release-figures.ts, which writes this file.
 */
export const STRENGTHS: Readonly<Record<WatermarkScheme, Strength>> = {
  gumbel: { mean: 0.671, deviation: 1.18, spread: 0.14 },
  "dual-key-gumbel": { mean: 0.585, deviation: 1.45, spread: 0.106 },
  "red-green": { mean: 0.341, deviation: 1, spread: 0.001 },
  synthid: { mean: 0.53, deviation: 0.957, spread: 0.133 },
  "hf-kgw": { mean: 0.372, deviation: 0.83, spread: 0.0965 },
  "hf-synthid": { mean: 0.633, deviation: 0.818, spread: 0.188 },
};
