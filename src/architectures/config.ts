import { ConfigError } from "../errors.js";
import type { Activation } from "../program/activations.js";
import { quote } from "../util/quote.js";

/** Configuration common to all architectures, which add their own fields. Immutable. */
export interface ModelConfig {
  /** The architecture's name in src/architectures/registry.ts. */
  readonly architecture: string;
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
  /** Activation of the feed-forward layer. */
  readonly activation: Activation;
  /** Whether the token embedding is also the output head. If not, there is a tensor `lm_head.weight`. */
  readonly tieWordEmbeddings: boolean;
}

/** The fields that are numbers. */
export type SizeField = { [K in keyof ModelConfig]: ModelConfig[K] extends number ? K : never }[keyof ModelConfig];

/** Most layers: planning the memory of more would take minutes. */
export const MAX_LAYERS = 4096;

const SIZES = ["vocabSize", "nCtx", "nEmbd", "nLayer", "nHead", "nInner"] as const;

/**
 * Checks a configuration and returns it.
 *
 * @param label the architecture's, for errors
 * @throws {ConfigError} a size is not a positive integer, there are too many layers, nHead does not divide nEmbd, or epsilon
 *   is out of range.
 */
export function checkedConfig<C extends ModelConfig>(config: C, label: string): C {
  for (const field of SIZES) checkSize(label, field, config[field]);
  const { nEmbd, nHead, nLayer, layerNormEpsilon } = config;
  if (nLayer > MAX_LAYERS) {
    const op = `${label} configuration: nLayer`;
    throw new ConfigError({ op, expected: `at most ${MAX_LAYERS}`, got: String(nLayer) });
  }
  if (nEmbd % nHead !== 0) {
    throw new ConfigError({
      op: `${label} configuration: nHead`,
      expected: `a divisor of nEmbd = ${nEmbd}`,
      got: String(nHead),
    });
  }
  if (!(layerNormEpsilon > 0 && layerNormEpsilon < 1)) {
    throw new ConfigError({
      op: `${label} configuration: layerNormEpsilon`,
      expected: "a small positive number",
      got: quote(layerNormEpsilon),
    });
  }
  return config;
}

const MAX_SIZE = 2 ** 31 - 1;

/** @throws {ConfigError} not a positive 32-bit integer. */
export function checkSize(label: string, field: string, value: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= MAX_SIZE) return;
  throw new ConfigError({
    op: `${label} configuration: ${field}`,
    expected: value > MAX_SIZE ? `at most ${MAX_SIZE}` : "a positive integer",
    got: quote(value),
  });
}
