import type { ConstraintOptions } from "../constrain/options.js";
import { UsageError } from "../errors.js";
import { type SamplingOptions, type SamplingSettings, samplingSettings } from "../pretrained/sampling-options.js";
import { checkOptionNames } from "../util/nearest.js";
import type { DraftModel } from "./draft-model.js";
import type { Scoring } from "./job.js";
import { MORE_SAMPLING_NAMES, type MoreSampling, type MoreSamplingOptions, moreSampling } from "./sampling/options.js";
import { marksGreedy, type WatermarkOptions, type WatermarkSettings, watermarkSettings } from "./watermark/options.js";

export interface GenerateOptions extends SamplingOptions, MoreSamplingOptions {
  /** Most tokens to generate. Default 200. */
  readonly maxNewTokens?: number | undefined;
  /** Independent continuations, generated side by side; at most 10,000. Default 1. */
  readonly samples?: number | undefined;
  /** Number of likeliest tokens to report with each generated one, with log-probabilities. Default 0. */
  readonly alternatives?: number | undefined;
  /** Ids that end generation besides `<|endoftext|>`. */
  readonly stopTokens?: readonly number[] | undefined;
  /** Waiting requests of higher priority start first. Default 0. */
  readonly priority?: number | undefined;
  /** Requests share cached prompts only with requests of the same scope. Default "". */
  readonly scope?: string | undefined;
  /** Stop strings: generation ends before any of them. */
  readonly stop?: string | readonly string[] | undefined;
  /** Whether `<|endoftext|>` ends generation (the default) or is a token like any other. */
  readonly stopAtEndOfText?: boolean | undefined;
  /**
   * What to do when the text outgrows the context: `slide` (the default) continues from its last half, `stop` ends generation.
   */
  readonly overflow?: "slide" | "stop" | undefined;
  /** Cut a prompt longer than the context to its last half context. By default such a prompt is an error. */
  readonly truncatePrompt?: boolean | undefined;
  /**
   * Prompt lookup decoding: the most tokens to draft at once. Drafts continue what the text repeats, and the model verifies
   * them in one run. The result is the same; text that repeats itself or its prompt comes faster. Default 0: no drafts.
   */
  readonly promptLookup?: number | undefined;
  /**
   * Watermark: scheme and secret key. It decides among the tokens that penalty, temperature and filters leave, and
   * `verifyWatermark` finds it.
   */
  readonly watermark?: WatermarkOptions | undefined;
  /**
   * Constraint on the whole text: a JSON Schema, a regular expression, a list of choices, a grammar. Tokens that cannot lead to such a text are
   * impossible, and the text may end only where it is complete.
   */
  readonly constraint?: ConstraintOptions | undefined;
  /** The same seed gives the same tokens. Default: a new seed each time. */
  readonly seed?: number | undefined;
  /** Name of a loaded adapter, or null for the base model. Default: the adapter `default`, if there is one. */
  readonly adapter?: string | null | undefined;
  /** Aborts generation, which then throws the signal's reason, by default an AbortError. */
  readonly signal?: AbortSignal | undefined;
}

export interface GenerateSettings {
  readonly sampling: SamplingSettings;
  readonly maxNewTokens: number;
  readonly samples: number;
  readonly stop: readonly string[];
  readonly stopAtEndOfText: boolean;
  readonly overflow: "slide" | "stop";
  readonly truncatePrompt: boolean;
  readonly promptLookup: number;
  /** The model that drafts, and the most tokens of a draft. */
  readonly draft?: { readonly model: DraftModel; readonly tokens: number } | undefined;
  readonly watermark: WatermarkSettings | undefined;
  readonly constraint: ConstraintOptions | undefined;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  readonly more: MoreSampling;
  readonly alternatives: number;
  readonly stopTokens: readonly number[];
  readonly priority: number;
  readonly scope: string;
  /** Scores the prompt, with the first sample. */
  readonly scoring?: Scoring | undefined;
  /** Called when computing a sample starts. @param cached prompt tokens found in the cache */
  readonly started?: ((cached: number) => void) | undefined;
}

export const DEFAULT_NEW_TOKENS = 200;
/** Draft length when promptLookup is switched on without one. With the token before it, it takes one pass over the weights. */
export const DEFAULT_LOOKUP = 7;

/** Most alternatives of a token. */
export const MOST_ALTERNATIVES = 50;
/** Most samples of a call: each has its own state from the start. */
export const MOST_SAMPLES = 10_000;

/** The options with their defaults. @throws {UsageError} a value out of range. */
export function generateSettings(options: GenerateOptions, defaults?: SamplingSettings): GenerateSettings {
  checkOptionNames("generating", options, {
    ...MORE_SAMPLING_NAMES,
    alternatives: true,
    stopTokens: true,
    priority: true,
    scope: true,
    temperature: true,
    topK: true,
    topP: true,
    minP: true,
    repetitionPenalty: true,
    maxNewTokens: true,
    samples: true,
    stop: true,
    stopAtEndOfText: true,
    overflow: true,
    truncatePrompt: true,
    promptLookup: true,
    watermark: true,
    constraint: true,
    seed: true,
    adapter: true,
    signal: true,
  });
  const { maxNewTokens = DEFAULT_NEW_TOKENS, samples = 1, stop = [], stopAtEndOfText = true } = options;
  const { overflow = "slide", truncatePrompt = false, promptLookup = 0, seed = randomSeed(), signal } = options;
  const stops = typeof stop === "string" ? [stop] : stop;
  check(
    "maxNewTokens",
    maxNewTokens,
    "0 or a positive integer",
    Number.isSafeInteger(maxNewTokens) && maxNewTokens >= 0,
  );
  checkSamples(samples);
  check(
    "promptLookup",
    promptLookup,
    "0 or a positive integer",
    Number.isSafeInteger(promptLookup) && promptLookup >= 0,
  );
  const { alternatives = 0, stopTokens = [], priority = 0, scope = "" } = options;
  const fewEnough = Number.isSafeInteger(alternatives) && alternatives >= 0 && alternatives <= MOST_ALTERNATIVES;
  check("alternatives", alternatives, `an integer from 0 to ${MOST_ALTERNATIVES}`, fewEnough);
  check("priority", priority, "a number", Number.isFinite(priority));
  check("seed", seed, "an integer from 0 to 2^53 - 1", Number.isSafeInteger(seed) && seed >= 0);
  check("overflow", overflow, "slide or stop", overflow === "slide" || overflow === "stop");
  check("stop", '""', "strings that are not empty", !stops.includes(""));
  const sampling = samplingSettings(options, defaults);
  const watermark = options.watermark && watermarkSettings(options.watermark);
  if (watermark && sampling.temperature === 0 && !marksGreedy(watermark.scheme)) {
    const hint =
      "At temperature 0 the watermark has nothing to choose from; raise the temperature, or use hf-kgw or hf-synthid";
    throw new UsageError({ op: "watermark", expected: "a temperature above 0", got: "0", hint });
  }
  return {
    sampling,
    maxNewTokens,
    samples,
    stop: stops,
    stopAtEndOfText,
    overflow,
    truncatePrompt,
    promptLookup,
    watermark,
    constraint: options.constraint,
    seed,
    signal,
    more: moreSampling(options),
    alternatives,
    stopTokens,
    priority,
    scope,
  };
}

/** @throws {UsageError} a number of samples that is out of range. */
export function checkSamples(samples: number): void {
  const some = Number.isSafeInteger(samples) && samples >= 1 && samples <= MOST_SAMPLES;
  check("samples", samples, `an integer from 1 to ${MOST_SAMPLES}`, some);
}

function check(op: string, got: unknown, expected: string, holds: boolean): void {
  if (!holds) throw new UsageError({ op, expected, got: String(got) });
}

/** 32 bits: short enough to type. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
