import type { LogLikelihood, LogLikelihoodRequest } from "../generate/requests.js";
import type { WatermarkOptions } from "../generate/watermark/options.js";
import type { Detection } from "../misuse/detect/detect.js";
import type { VerifyWatermarkOptions, WatermarkReport } from "../misuse/watermark/verify.js";
import { type OneOrMany, oneOrMany } from "../model/one-or-many.js";
import type { TextOrIds } from "../model/options.js";
import type { Choice, ChooseOptions } from "../tasks/choose.js";
import { GeneratingModel } from "./generating-model.js";
import type { DetectOptions, LogitsOptions, RequestOptions, Score, ScoreOptions } from "./options.js";

/** A model that also says how likely texts are, and what follows from that. */
export class ScoringModel extends GeneratingModel {
  /**
   * Scores a text, or each of several: log-probability of each token, perplexity, bits per byte.
   *
   * @throws {UsageError} a text or its context is empty, or an id is outside the vocabulary.
   */
  score(texts: readonly TextOrIds[], options?: ScoreOptions): Promise<Score[]>;
  score(text: TextOrIds, options?: ScoreOptions): Promise<Score>;
  async score(input: OneOrMany, options: ScoreOptions = {}): Promise<Score | Score[]> {
    const { scoreTexts } = await import("./score.js");
    const model = this.generation(options);
    return oneOrMany(input, (texts) => scoreTexts(model, this.ids, texts, options));
  }

  /**
   * Measures how much a text, or each of several, looks machine-written: ranks, log-rank, Fast-DetectGPT's curvature, with an
   * observer Binoculars' ratio; and, if the model has a calibration, the shares of human texts that score as high.
   *
   * @throws {UsageError} a text or its context is empty, an id is outside the vocabulary, or the observer has another vocabulary.
   */
  detect(texts: readonly TextOrIds[], options?: DetectOptions): Promise<Detection[]>;
  detect(text: TextOrIds, options?: DetectOptions): Promise<Detection>;
  async detect(input: OneOrMany, options: DetectOptions = {}): Promise<Detection | Detection[]> {
    const { detectTexts } = await import("./detect.js");
    const { observer } = options;
    const engines = { own: this.generation(options), observer: observer ? observer.generation() : undefined };
    return oneOrMany(input, (texts) => detectTexts(this, engines, this.ids, texts, options));
  }

  /**
   * Log-likelihoods of continuations after contexts, many at once. A common prefix is computed once.
   *
   * @throws {UsageError} a continuation is empty, or an id is outside the vocabulary.
   * @throws {ContextLengthError} a continuation is longer than the model's context.
   */
  async logLikelihoods(
    requests: readonly LogLikelihoodRequest<TextOrIds>[],
    options: RequestOptions = {},
  ): Promise<LogLikelihood[]> {
    const { logLikelihoods } = await import("./requests.js");
    return logLikelihoods(this.generation(options), this.ids, requests, options);
  }

  /**
   * Finds the likeliest of several texts after a context. They follow it unchanged, so most begin with a space.
   *
   * @throws {UsageError} there are no candidates, or one is empty.
   * @throws {ContextLengthError} a candidate does not fit into the model's context.
   */
  async choose(context: string, candidates: readonly string[], options: ChooseOptions = {}): Promise<Choice> {
    const { choose } = await import("../tasks/choose.js");
    return choose(this, context, candidates, options);
  }

  /** Returns logits [T, V] after each of the ids. @throws {ContextLengthError} there are more ids than the context holds. */
  async logits(ids: ArrayLike<number>, options: LogitsOptions = {}): Promise<Float32Array> {
    const given = Array.from(ids); // a copy: the caller may change them during the call
    const { allLogits } = await import("./logits.js");
    return allLogits(this.generation(options), this.ids, given, options);
  }

  /**
   * Tests a text for the watermark that `generate` leaves with the same options. Needs no run of the model.
   *
   *     const { verdict, pValue } = await model.verifyWatermark(text, { scheme: "gumbel", key: "secret" });
   *
   * @throws {UsageError} an option is out of range.
   */
  async verifyWatermark(
    text: TextOrIds,
    watermark: WatermarkOptions,
    options: Omit<VerifyWatermarkOptions, "tokenizer" | "vocabSize"> = {},
  ): Promise<WatermarkReport> {
    const { verifyWatermark } = await import("../misuse/watermark/verify.js");
    return verifyWatermark(text, watermark, {
      ...options,
      tokenizer: this.tokenizer,
      vocabSize: this.config.vocabSize,
    });
  }
}
