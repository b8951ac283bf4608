import { UsageError } from "../errors.js";

/** How to draw the next token from the model's distribution. The steps are taken in this order. */
export interface SamplingOptions {
  /**
   * Positive logits of tokens already in the text are divided by this, negative ones multiplied (CTRL, Keskar et al. 2019,
   * section 4.1). Default 1: no penalty.
   */
  readonly repetitionPenalty?: number | undefined;
  /** Logits are divided by this. 0 takes the likeliest token, and the options below do not matter. Default 0.8. */
  readonly temperature?: number | undefined;
  /** Keep only this many of the likeliest tokens; 0 keeps all. Default 40. */
  readonly topK?: number | undefined;
  /**
   * Of the remaining tokens, keep the likeliest ones that together reach this probability, including the one that crosses it
   * (nucleus sampling, Holtzman et al. 2019). Default 1: keep all.
   */
  readonly topP?: number | undefined;
  /** Of the remaining tokens, keep those at least this many times as likely as the likeliest. Default 0: keep all. */
  readonly minP?: number | undefined;
}

export type SamplingSettings = { readonly [K in keyof SamplingOptions]-?: number };

/** The released samples used top-k 40. Small models write better at a temperature a little below 1. */
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

/** Completes the options with their defaults, or a model's. @throws {UsageError} a value is out of range. */
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
