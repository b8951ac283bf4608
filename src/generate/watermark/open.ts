import type { ContextOptions } from "./contexts.js";
import { DualKeyGumbelWatermark, dualKeys, GumbelWatermark } from "./gumbel.js";
import { keyBits } from "./key.js";
import type { Watermark } from "./mark.js";
import type { WatermarkSettings } from "./options.js";
import { RedGreenWatermark } from "./red-green.js";
import { SynthIdWatermark } from "./synthid.js";

/** Makes a watermark of its settings. */
export async function openWatermark(settings: WatermarkSettings): Promise<Watermark> {
  const key = await keyBits(settings.key);
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
