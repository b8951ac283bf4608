import { ConfigError } from "../../errors.js";
import type { Activation } from "../../program/activations.js";

/** The numbers that define a GPT-2 (paper, Table 2). Immutable; make one with {@link gpt2Config}. */
export interface GPT2Config {
  /** Tokens in the vocabulary, V. */
  readonly vocabSize: number;
  /** Longest sequence, in tokens: the number of learned positions. */
  readonly nCtx: number;
  /** Width of the residual stream, C. */
  readonly nEmbd: number;
  readonly nLayer: number;
  /** Attention heads, NH; must divide nEmbd. */
  readonly nHead: number;
  /** Width of the feed-forward layer, usually 4C. */
  readonly nInner: number;
  readonly layerNormEpsilon: number;
  /** Of the feed-forward layer; GPT-2's is `gelu_new`, GELU's tanh approximation. */
  readonly activation: Activation;
  /** Whether the output head is wte, as GPT-2's is; if not there is a tensor `lm_head.weight`. */
  readonly tieWordEmbeddings: boolean;
  /** Whether attention scores are divided by the square root of the head size, as GPT-2's are. */
  readonly scaleAttnWeights: boolean;
  /** Whether those of layer i are divided by i + 1 as well (Mistral's GPT-2s, for f16); GPT-2's are not. */
  readonly scaleAttnByInverseLayerIdx: boolean;
}

/** The fields that are numbers. */
export type SizeField = { [K in keyof GPT2Config]: GPT2Config[K] extends number ? K : never }[keyof GPT2Config];

const GPT2_COMMON = {
  vocabSize: 50257,
  nCtx: 1024,
  layerNormEpsilon: 1e-5,
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

export function isPreset(name: string): name is GPT2Preset {
  return Object.hasOwn(GPT2_PRESETS, name);
}

/** What the attention scores of a layer (from 0) are multiplied by. */
export function attentionScale(config: GPT2Config, layer: number): number {
  const { nEmbd, nHead, scaleAttnWeights, scaleAttnByInverseLayerIdx } = config;
  return (scaleAttnWeights ? 1 / Math.sqrt(nEmbd / nHead) : 1) / (scaleAttnByInverseLayerIdx ? layer + 1 : 1);
}

/**
 * A complete, checked configuration from a preset name and/or the fields that differ from GPT-2's.
 *
 * @throws {ConfigError} a field is not a positive integer, or nHead does not divide nEmbd.
 */
export function gpt2Config(base: GPT2Preset | Partial<GPT2Config>, overrides: Partial<GPT2Config> = {}): GPT2Config {
  const preset = typeof base === "string" ? GPT2_PRESETS[base] : { ...GPT2_PRESETS.gpt2, ...base };
  const merged = { ...GPT2_COMMON, ...preset, ...overrides };
  const config = { ...merged, nInner: (merged as Partial<GPT2Config>).nInner ?? 4 * merged.nEmbd };
  for (const field of ["vocabSize", "nCtx", "nEmbd", "nLayer", "nHead", "nInner"] as const) {
    const value = config[field];
    if (!Number.isInteger(value) || value < 1 || value > 2 ** 31 - 1) {
      throw new ConfigError({
        op: `GPT-2 configuration: ${field}`,
        expected: "a positive integer",
        got: String(value),
      });
    }
  }
  if (config.nEmbd % config.nHead !== 0) {
    throw new ConfigError({
      op: "GPT-2 configuration: nHead",
      expected: `a divisor of nEmbd = ${config.nEmbd}`,
      got: String(config.nHead),
    });
  }
  if (!(config.layerNormEpsilon > 0 && config.layerNormEpsilon < 1)) {
    throw new ConfigError({
      op: "GPT-2 configuration: layerNormEpsilon",
      expected: "a small positive number",
      got: String(config.layerNormEpsilon),
    });
  }
  return config;
}
