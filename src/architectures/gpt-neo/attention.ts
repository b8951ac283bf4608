import type { AttentionLayers } from "../pre-norm/params.js";
import type { GPTNeoConfig } from "./config.js";

/** GPT-Neo's attention: separate layers for queries, keys and values; scores are not divided by the root of the head size. */
export const GPT_NEO_ATTENTION: AttentionLayers<GPTNeoConfig> = {
  path: "attn.attention",
  qkv: ["q_proj", "k_proj", "v_proj"],
  qkvBias: false,
  out: "out_proj",
  scale: () => 1,
};
