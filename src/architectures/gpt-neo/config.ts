import { ConfigError } from "../../errors.js";
import { checkedConfig, checkSize, type ModelConfig } from "../config.js";

/** Whether tokens of a layer see all tokens before them (global), or only the newest `windowSize` (local). */
export type AttentionType = "global" | "local";

/** The hyperparameters of a GPT-Neo. Immutable; {@link gptNeoConfig} makes one. */
export interface GPTNeoConfig extends ModelConfig {
  readonly architecture: "gpt-neo";
  /** One for each layer. */
  readonly attentionLayers: readonly AttentionType[];
  /** Number of keys that a token sees in a local layer, its own included. */
  readonly windowSize: number;
}

const GPT_NEO_COMMON = {
  architecture: "gpt-neo",
  vocabSize: 50257,
  nCtx: 2048,
  layerNormEpsilon: 1e-5,
  activation: "gelu_new",
  tieWordEmbeddings: true,
  windowSize: 256,
} as const;

/** The published sizes, by the last parts of their names. */
export const GPT_NEO_PRESETS = {
  "gpt-neo-125m": { nLayer: 12, nEmbd: 768, nHead: 12 },
  "gpt-neo-1.3b": { nLayer: 24, nEmbd: 2048, nHead: 16 },
  "gpt-neo-2.7b": { nLayer: 32, nEmbd: 2560, nHead: 20 },
} as const;

/**
 * Completes and checks a configuration from the fields that differ from GPT-Neo 125M. Layers alternate between global and
 * local attention, beginning with global, unless `attentionLayers` is given.
 *
 * @throws {ConfigError} a size is impossible, or there is not one type of attention for each layer.
 */
export function gptNeoConfig(fields: Partial<GPTNeoConfig> = {}): GPTNeoConfig {
  const merged = { ...GPT_NEO_COMMON, ...GPT_NEO_PRESETS["gpt-neo-125m"], ...fields };
  const config = checkedConfig(
    { ...merged, nInner: fields.nInner ?? 4 * merged.nEmbd, attentionLayers: fields.attentionLayers ?? [] },
    "GPT-Neo",
  );
  checkSize("GPT-Neo", "windowSize", config.windowSize);
  const { nLayer } = config;
  const attentionLayers = fields.attentionLayers ?? alternating(nLayer);
  const wrong = attentionLayers.find((type) => type !== "global" && type !== "local");
  if (attentionLayers.length === nLayer && wrong === undefined) return { ...config, attentionLayers };
  throw new ConfigError({
    op: "GPT-Neo configuration: attentionLayers",
    expected: `"global" or "local" for each of ${nLayer} layers`,
    got: wrong === undefined ? `${attentionLayers.length} of them` : String(wrong),
  });
}

const alternating = (nLayer: number): AttentionType[] =>
  Array.from({ length: nLayer }, (_, layer) => (layer % 2 === 0 ? "global" : "local"));
