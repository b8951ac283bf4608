import { checkOptionNames, type OptionNames } from "../../util/nearest.js";
import { checkedConfig, type ModelConfig } from "../config.js";

/** The hyperparameters of a GPT-2 (paper, Table 2). Immutable; {@link gpt2Config} makes one. */
export interface GPT2Config extends ModelConfig {
  readonly architecture: "gpt2";
  /** Divide attention scores by the square root of the head size, as GPT-2 does. */
  readonly scaleAttnWeights: boolean;
  /** Also divide those of layer i by i + 1, as Mistral's GPT-2s do for f16. */
  readonly scaleAttnByInverseLayerIdx: boolean;
}

const GPT2_COMMON = {
  architecture: "gpt2",
  vocabSize: 50257,
  nCtx: 1024,
  layerNormEpsilon: 1e-5,
  /** GELU's tanh approximation. */
  activation: "gelu_new",
  tieWordEmbeddings: true,
  scaleAttnWeights: true,
  scaleAttnByInverseLayerIdx: false,
} as const;

/** The four published sizes, by their usual names. */
export const GPT2_PRESETS = {
  gpt2: { nLayer: 12, nEmbd: 768, nHead: 12 },
  "gpt2-medium": { nLayer: 24, nEmbd: 1024, nHead: 16 },
  "gpt2-large": { nLayer: 36, nEmbd: 1280, nHead: 20 },
  "gpt2-xl": { nLayer: 48, nEmbd: 1600, nHead: 25 },
} as const;

export type GPT2Preset = keyof typeof GPT2_PRESETS;

/** The factor of a layer's attention scores. Layers count from 0. */
export function attentionScale(config: GPT2Config, layer: number): number {
  const { nEmbd, nHead, scaleAttnWeights, scaleAttnByInverseLayerIdx } = config;
  return (scaleAttnWeights ? 1 / Math.sqrt(nEmbd / nHead) : 1) / (scaleAttnByInverseLayerIdx ? layer + 1 : 1);
}

const FIELDS: OptionNames<GPT2Config> = {
  ...GPT2_COMMON,
  architecture: "gpt2",
  vocabSize: true,
  nCtx: true,
  nEmbd: true,
  nLayer: true,
  nHead: true,
  nInner: true,
};

/**
 * Completes and checks a configuration from a preset name, or from fields that differ from GPT-2's.
 *
 * @throws {ConfigError} a field is not a positive integer, or nHead does not divide nEmbd.
 */
export function gpt2Config(base: GPT2Preset | Partial<GPT2Config>, overrides: Partial<GPT2Config> = {}): GPT2Config {
  if (typeof base !== "string") checkOptionNames<Partial<GPT2Config>>("configuration", base, FIELDS);
  checkOptionNames<Partial<GPT2Config>>("configuration", overrides, FIELDS);
  const preset = typeof base === "string" ? GPT2_PRESETS[base] : { ...GPT2_PRESETS.gpt2, ...base };
  const merged = { ...GPT2_COMMON, ...preset, ...overrides };
  return checkedConfig({ ...merged, nInner: (merged as Partial<GPT2Config>).nInner ?? 4 * merged.nEmbd }, "GPT-2");
}

export function isPreset(name: string): name is GPT2Preset {
  return Object.hasOwn(GPT2_PRESETS, name);
}
