import { UsageError } from "../errors.js";

/** How the next token is drawn from the model's distribution. The steps are taken in this order. */
export interface SamplingOptions {
  /**
   * Logits of tokens that are in the text already are divided by this where positive and multiplied where negative
   * (CTRL, Keskar et al. 2019, section 4.1). 1, the default, changes nothing.
   */
  readonly repetitionPenalty?: number | undefined;
  /** Logits are divided by this. 0 takes the most likely token, and nothing below matters. Default 0.8. */
  readonly temperature?: number | undefined;
  /** Keep only this many of the most likely tokens; 0 keeps all. Default 40. */
  readonly topK?: number | undefined;
  /**
   * Of what is left, keep the most likely tokens that together reach this probability, the one that crosses it included
   * (nucleus sampling, Holtzman et al. 2019). 1, the default, keeps all.
   */
  readonly topP?: number | undefined;
  /** Of what is left, keep tokens at least this many times as likely as the likeliest. 0, the default, keeps all. */
  readonly minP?: number | undefined;
}

export type SamplingSettings = { readonly [K in keyof SamplingOptions]-?: number };

/** The released code's samples were made with top-k 40; a small model writes better a little below temperature 1. */
export const SAMPLING_DEFAULTS: SamplingSettings = {
  repetitionPenalty: 1,
  temperature: 0.8,
  topK: 40,
  topP: 1,
  minP: 0,
};

const RULES: { readonly [K in keyof SamplingSettings]: readonly [rule: string, holds: (x: number) => boolean] } = {
  repetitionPenalty: ["a positive number", (x) => x > 0 && x < Infinity],
  temperature: ["0 or a positive number", (x) => x >= 0 && x < Infinity],
  topK: ["0 or a positive integer", (x) => Number.isInteger(x) && x >= 0],
  topP: ["a number from 0 to 1", (x) => x >= 0 && x <= 1],
  minP: ["a number from 0 to 1", (x) => x >= 0 && x <= 1],
};

/** The options with their defaults, or those of a model. @throws {UsageError} a value out of range. */
export function samplingSettings(
  options: SamplingOptions,
  defaults: SamplingSettings = SAMPLING_DEFAULTS,
): SamplingSettings {
  const names = Object.keys(RULES) as (keyof SamplingSettings)[];
  const settings = names.map((name) => {
    const value = options[name] ?? defaults[name];
    const [expected, holds] = RULES[name];
    if (!holds(value)) throw new UsageError({ op: name, expected, got: String(value) });
    return [name, value] as const;
  });
  return Object.fromEntries(settings) as unknown as SamplingSettings;
}
