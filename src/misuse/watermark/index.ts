export type { ContextScope } from "../../generate/watermark/contexts.js";
export type { WatermarkKey } from "../../generate/watermark/key.js";
export {
  type DualKeyGumbelOptions,
  type GumbelOptions,
  type HfKgwOptions,
  type HfSynthIdOptions,
  type RedGreenOptions,
  type SynthIdOptions,
  WATERMARK_SCHEMES,
  type WatermarkOptions,
  type WatermarkScheme,
} from "../../generate/watermark/options.js";
export { readWatermarkConfig, transformersConfig } from "../../generate/watermark/read-config.js";
export { type VerifyWatermarkOptions, verifyWatermark, type WatermarkReport } from "./verify.js";
