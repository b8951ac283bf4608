import type { ContextOptions } from "./contexts.js";
import { DualKeyGumbelWatermark, dualKeys, GumbelWatermark } from "./gumbel.js";
import { HfKgwWatermark } from "./hf-kgw.js";
import { HfSynthIdWatermark } from "./hf-synthid.js";
import { keyBits } from "./key.js";
import type { Watermark } from "./mark.js";
import type { WatermarkSettings } from "./options.js";
import { RedGreenWatermark } from "./red-green.js";
import { SynthIdWatermark } from "./synthid.js";

/**
 * Makes a watermark from its settings.
 *
 * @param vocabSize the model's; transformers' red-green watermark permutes the vocabulary
 */
export async function openWatermark(settings: WatermarkSettings, vocabSize: number): Promise<Watermark> {
  if (settings.scheme === "hf-synthid") return new HfSynthIdWatermark(settings);
  const key = await keyBits(settings.key);
  if (settings.scheme === "hf-kgw") return new HfKgwWatermark(key, settings, vocabSize);
  const { contextWidth: width, deduplicateContexts: scope, maxHistory } = settings;
  const contexts: ContextOptions = { width, scope, maxHistory };
  switch (settings.scheme) {
    case "gumbel":
      return new GumbelWatermark(key, contexts);
    case "dual-key-gumbel":
      return new DualKeyGumbelWatermark(await dualKeys(key), settings.alpha, contexts);
    case "red-green":
      return new RedGreenWatermark(key, settings, contexts);
    case "synthid":
      return new SynthIdWatermark(key, settings.depth, contexts);
  }
}
