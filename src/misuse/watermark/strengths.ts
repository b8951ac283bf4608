import type { WatermarkScheme } from "../../generate/watermark/options.js";
import type { Strength } from "./power.js";

/**
 * Strengths of marks in texts of the default model with its own sampling, fitted to the shares of texts that are found
 * (docs/watermark.md) by scripts/release-figures.ts, which writes this file.
 */
export const STRENGTHS: Readonly<Record<WatermarkScheme, Strength>> = {
  gumbel: { mean: 1, deviation: 1.35, spread: 0.18 },
  "dual-key-gumbel": { mean: 0.95, deviation: 1.45, spread: 0.18 },
  "red-green": { mean: 0.48, deviation: 1.2, spread: 0.064 },
  synthid: { mean: 0.75, deviation: 0.6, spread: 0.145 },
  "hf-kgw": { mean: 0.5, deviation: 0.92, spread: 0.06 },
  "hf-synthid": { mean: 0.7, deviation: 0.8, spread: 0.125 },
};
