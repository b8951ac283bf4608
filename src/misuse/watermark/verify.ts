import { TokenizerError, UsageError } from "../../errors.js";
import { type WatermarkOptions, type WatermarkScheme, watermarkSettings } from "../../generate/watermark/options.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { checkOptionNames } from "../../util/nearest.js";
import { type Evidence, evidenceTest } from "./evidence.js";
import { powerAt, tokensFor } from "./power.js";

export interface VerifyWatermarkOptions {
  /** The tokenizer of the model that wrote the text. Not needed for token ids. */
  readonly tokenizer?: Tokenizer | undefined;
  /** The vocabulary of the model that wrote the text, for hf-kgw. Default: the tokenizer's. */
  readonly vocabSize?: number | undefined;
  /** Largest p-value at which a mark counts as found: the share of unmarked texts mistaken for marked. Default 0.01. */
  readonly falsePositiveRate?: number | undefined;
  /**
   * If no mark is found and a marked text of this length is found less often than this, the verdict is `too-short`. Default
   * 0.9, for texts with the entropy of the default model's: see `power`.
   */
  readonly power?: number | undefined;
}

export interface WatermarkReport {
  readonly scheme: WatermarkScheme;
  /**
   * Whether the mark was found. `not-found` requires a text that is long enough. Such a text may come from another model or a
   * person, or may have been edited.
   */
  readonly verdict: "found" | "not-found" | "too-short";
  /** Probability that a text made without this key scores as high. */
  readonly pValue: number;
  /** Its natural logarithm, for p-values too small for a number. */
  readonly logPValue: number;
  /**
   * The scheme's statistic: the sum of -log(1 - u) over tokens for the two Gumbel schemes, the number of green tokens for the
   * two red-green schemes, the mean g for the two SynthID schemes.
   */
  readonly score: number;
  /** Number of tokens of the text. */
  readonly tokens: number;
  /** Number of scored tokens: those whose context did not occur before. */
  readonly scored: number;
  readonly repeated: number;
  /** For hf-kgw: transformers' z-score, with each n-gram counted once. */
  readonly zScore?: number;
  /** For hf-synthid: the weighted mean of g. */
  readonly weightedMean?: number;
  /**
   * Approximate probability of finding a mark in so many scored tokens of a marked text, if its entropy is that of the default
   * model's texts with default sampling.
   */
  readonly power: number;
  /** Least number of scored tokens for the verdict `not-found`. */
  readonly tokensNeeded: number;
}

/**
 * Tests a text for the mark of a key. Needs the text only: no model runs.
 *
 *     const { verdict, pValue } = await verifyWatermark(text, { key: "secret" }, { tokenizer: model.tokenizer });
 *
 * @param text the unchanged text, or token ids
 * @param watermark the options of its generation
 * @throws {UsageError} an option is out of range. {@link TokenizerError} text without a tokenizer.
 */
export async function verifyWatermark(
  text: string | ArrayLike<number>,
  watermark: WatermarkOptions,
  options: VerifyWatermarkOptions = {},
): Promise<WatermarkReport> {
  checkOptionNames<VerifyWatermarkOptions>("verifying a watermark", options, {
    tokenizer: true,
    vocabSize: true,
    falsePositiveRate: true,
    power: true,
  });
  const settings = watermarkSettings(watermark);
  const { falsePositiveRate = 0.01, power = 0.9 } = options;
  checkShare("falsePositiveRate", falsePositiveRate);
  checkShare("power", power);
  const ids = tokensOf(text, options.tokenizer);
  const evidence = (await evidenceTest(settings, vocabularyOf(settings.scheme, options)))(ids);
  const { scheme } = settings;
  const tokensNeeded = tokensFor(scheme, power, falsePositiveRate);
  return {
    scheme,
    verdict: verdictOf(evidence, falsePositiveRate, tokensNeeded),
    pValue: Math.exp(evidence.logPValue),
    tokens: ids.length,
    ...evidence,
    power: powerAt(scheme, evidence.scored, falsePositiveRate),
    tokensNeeded,
  };
}

function verdictOf({ scored, logPValue }: Evidence, rate: number, needed: number): WatermarkReport["verdict"] {
  if (logPValue <= Math.log(rate)) return "found";
  return scored < needed ? "too-short" : "not-found";
}

function vocabularyOf(scheme: WatermarkScheme, { vocabSize, tokenizer }: VerifyWatermarkOptions): number {
  const size = vocabSize ?? tokenizer?.vocabSize;
  if (size === undefined && scheme === "hf-kgw") {
    throw new UsageError({
      op: "verifying a watermark",
      expected: "vocabSize or a tokenizer, for hf-kgw",
      got: "none",
    });
  }
  if (size === undefined || (Number.isSafeInteger(size) && size > 0 && size < 2 ** 27)) return size ?? 0;
  throw new UsageError({ op: "verifying a watermark: vocabSize", expected: "a positive integer", got: String(size) });
}

function tokensOf(text: string | ArrayLike<number>, tokenizer: Tokenizer | undefined): number[] {
  if (typeof text !== "string") return checkedIds(Array.from(text));
  if (tokenizer) return Array.from(tokenizer.encode(text, { addSpecialTokens: false }));
  throw new TokenizerError({
    op: "verifying a watermark",
    expected: "the tokenizer of the model that wrote the text",
    got: "none",
    hint: "Give token ids, or set the option tokenizer",
  });
}

function checkedIds(ids: number[]): number[] {
  const bad = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < 2 ** 31));
  if (bad === undefined) return ids;
  throw new UsageError({ op: "verifying a watermark", expected: "token ids", got: String(bad) });
}

function checkShare(op: string, x: number): void {
  if (x > 0 && x < 1) return;
  throw new UsageError({ op, expected: "a number between 0 and 1", got: String(x) });
}
