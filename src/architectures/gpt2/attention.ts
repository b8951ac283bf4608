import type { AttentionLayers } from "../pre-norm/params.js";
import { attentionScale, type GPT2Config } from "./config.js";

/** GPT-2's attention: one layer for queries, keys and values together. */
export const GPT2_ATTENTION: AttentionLayers<GPT2Config> = {
  path: "attn",
  qkv: ["c_attn"],
  qkvBias: true,
  out: "c_proj",
  scale: attentionScale,
};
