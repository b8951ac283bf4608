import { UsageError } from "../../errors.js";

/** Sampling steps, whose order can be set. Penalties, biases and limits come before all of them. */
export const SAMPLER_STEPS = ["temperature", "topNSigma", "topK", "typicalP", "topP", "minP", "xtc"] as const;

export type SamplerStep = (typeof SAMPLER_STEPS)[number];

/** Sampling beyond temperature, top-k, top-p, min-p and the repetition penalty. All of it is off by default. */
export interface MoreSamplingOptions {
  /** Subtracted from the logits of tokens already generated. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted from a token's logit for each time it was generated. */
  readonly frequencyPenalty?: number | undefined;
  /** Added to logits, by token id; -100 all but forbids a token, 100 forces it. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
  /** Forbidden token sequences: the last token of one is never sampled after the tokens before it. */
  readonly badWords?: readonly (readonly number[])[] | undefined;
  /** If given, only these ids are sampled. */
  readonly allowedIds?: readonly number[] | undefined;
  /** Least number of tokens before the text may end. */
  readonly minNewTokens?: number | undefined;
  /** DRY: a token that would continue a repetition of n tokens loses dryMultiplier · dryBase^(n - dryAllowedLength). */
  readonly dryMultiplier?: number | undefined;
  /** Default 1.75. */
  readonly dryBase?: number | undefined;
  /** Longest repetition without a penalty. Default 2. */
  readonly dryAllowedLength?: number | undefined;
  /** Ids that break a repetition, such as line breaks. */
  readonly dryBreakers?: readonly number[] | undefined;
  /** Keep tokens with logits within this many standard deviations of the largest (Tang et al. 2024); 0 keeps all. */
  readonly topNSigma?: number | undefined;
  /** Keep the tokens with a surprise closest to the entropy, up to this probability (Meister et al. 2023); 1 keeps all. */
  readonly typicalP?: number | undefined;
  /** Dynamic temperature: temperature ± this, by the entropy of the remaining tokens. */
  readonly temperatureRange?: number | undefined;
  /** Exponent of the normalized entropy in dynamic temperature. Default 1. */
  readonly temperatureExponent?: number | undefined;
  /** XTC: the probability of leaving out all tokens above the threshold but the least likely of them. */
  readonly xtcProbability?: number | undefined;
  /** Default 0.1. */
  readonly xtcThreshold?: number | undefined;
  /** Mirostat 2 (Basu et al. 2021): target surprise in bits. Replaces the filters. 0 is off. */
  readonly mirostatTau?: number | undefined;
  /** Mirostat's learning rate. Default 0.1. */
  readonly mirostatEta?: number | undefined;
  /** The order of the steps, each at most once. Missing ones follow in the default order. */
  readonly samplerOrder?: readonly SamplerStep[] | undefined;
}

type NumberName = Exclude<
  keyof MoreSamplingOptions,
  "logitBias" | "badWords" | "allowedIds" | "dryBreakers" | "samplerOrder"
>;

export interface MoreSampling extends Readonly<Record<NumberName, number>> {
  readonly logitBias: ReadonlyMap<number, number>;
  readonly badWords: readonly (readonly number[])[];
  readonly allowedIds: ReadonlySet<number> | undefined;
  readonly dryBreakers: ReadonlySet<number>;
  readonly samplerOrder: readonly SamplerStep[];
  /** Whether any penalty, bias or limit is on. */
  readonly changesLogits: boolean;
  /** Whether the settings need {@link SamplerChain}: steps besides temperature, top-k, top-p and min-p, or another order. */
  readonly needsChain: boolean;
}

const positive = (x: number): boolean => x >= 0 && x < Infinity;
const fraction = (x: number): boolean => x >= 0 && x <= 1;
const anyNumber = (x: number): boolean => Number.isFinite(x);

const NUMBERS: Readonly<Record<NumberName, readonly [off: number, rule: string, holds: (x: number) => boolean]>> = {
  presencePenalty: [0, "a number", anyNumber],
  frequencyPenalty: [0, "a number", anyNumber],
  minNewTokens: [0, "0 or a positive integer", (x) => Number.isSafeInteger(x) && x >= 0],
  dryMultiplier: [0, "0 or a positive number", positive],
  dryBase: [1.75, "a number from 1 on", (x) => x >= 1 && x < Infinity],
  dryAllowedLength: [2, "a positive integer", (x) => Number.isSafeInteger(x) && x >= 1],
  topNSigma: [0, "0 or a positive number", positive],
  typicalP: [1, "a number from 0 to 1", fraction],
  temperatureRange: [0, "0 or a positive number", positive],
  temperatureExponent: [1, "a positive number", (x) => x > 0 && x < Infinity],
  xtcProbability: [0, "a number from 0 to 1", fraction],
  xtcThreshold: [0.1, "a number from 0 to 1", fraction],
  mirostatTau: [0, "0 or a positive number", positive],
  mirostatEta: [0.1, "a number from 0 to 1", fraction],
};

/** For `checkOptionNames`. */
export const MORE_SAMPLING_NAMES = {
  presencePenalty: true,
  frequencyPenalty: true,
  logitBias: true,
  badWords: true,
  allowedIds: true,
  minNewTokens: true,
  dryMultiplier: true,
  dryBase: true,
  dryAllowedLength: true,
  dryBreakers: true,
  topNSigma: true,
  typicalP: true,
  temperatureRange: true,
  temperatureExponent: true,
  xtcProbability: true,
  xtcThreshold: true,
  mirostatTau: true,
  mirostatEta: true,
  samplerOrder: true,
} as const satisfies Record<keyof MoreSamplingOptions, true>;

/** The options with their defaults. @throws {UsageError} a value out of range. */
export function moreSampling(options: MoreSamplingOptions): MoreSampling {
  const numbers = Object.fromEntries(
    Object.entries(NUMBERS).map(([name, [off, expected, holds]]) => {
      const value = options[name as NumberName] ?? off;
      if (!holds(value)) throw new UsageError({ op: name, expected, got: String(value) });
      return [name, value];
    }),
  ) as Record<NumberName, number>;
  const { allowedIds, badWords = [], dryBreakers = [], samplerOrder = [] } = options;
  const order = completeOrder(samplerOrder);
  const logitBias = biases(options.logitBias ?? {});
  if (badWords.some(({ length }) => length === 0)) {
    throw new UsageError({ op: "badWords", expected: "sequences of tokens", got: "an empty one" });
  }
  if (allowedIds?.length === 0) throw new UsageError({ op: "allowedIds", expected: "at least one id", got: "none" });
  const { presencePenalty, frequencyPenalty, minNewTokens, dryMultiplier } = numbers;
  const penalties = presencePenalty !== 0 || frequencyPenalty !== 0 || dryMultiplier > 0;
  const limits = badWords.length > 0 || allowedIds !== undefined || minNewTokens > 0;
  const { topNSigma, typicalP, temperatureRange, xtcProbability, mirostatTau } = numbers;
  const steps = topNSigma > 0 || typicalP < 1 || temperatureRange > 0 || xtcProbability > 0 || mirostatTau > 0;
  return {
    ...numbers,
    logitBias,
    badWords,
    allowedIds: allowedIds && new Set(allowedIds),
    dryBreakers: new Set(dryBreakers),
    samplerOrder: order,
    changesLogits: penalties || limits || logitBias.size > 0,
    needsChain: steps || order.some((step, i) => step !== SAMPLER_STEPS[i]),
  };
}

/** All options off. */
export const NO_MORE_SAMPLING = moreSampling({});

function completeOrder(given: readonly SamplerStep[]): SamplerStep[] {
  const wrong = given.find((step, i) => !SAMPLER_STEPS.includes(step) || given.indexOf(step) !== i);
  if (wrong === undefined) return [...given, ...SAMPLER_STEPS.filter((step) => !given.includes(step))];
  throw new UsageError({ op: "samplerOrder", expected: `${SAMPLER_STEPS.join(", ")}, each once`, got: String(wrong) });
}

function biases(given: Readonly<Record<number, number>>): Map<number, number> {
  return new Map(
    Object.entries(given).map(([id, bias]) => {
      if (/^\d+$/.test(id) && Number.isFinite(bias)) return [Number(id), bias];
      throw new UsageError({ op: "logitBias", expected: "finite numbers by token id", got: `${id}: ${bias}` });
    }),
  );
}
