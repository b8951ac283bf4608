import type { DraftCounts, FinishReason, GeneratedToken } from "../generate/generate.js";
import type { GenerateOptions } from "../generate/options.js";
import type { RunOptions } from "../generate/requests.js";
import type { GPT2 } from "../gpt2.js";
import type { Calibration } from "../misuse/detect/calibration.js";
import type { AdapterOption, TextOrIds } from "../model/options.js";

/** One continuation of a prompt. */
export interface Completion {
  /** Without the prompt. */
  readonly text: string;
  readonly tokens: readonly number[];
  /** One for each token: see {@link GeneratedToken.logprob}. */
  readonly logprobs: readonly GeneratedToken["logprob"][];
  readonly finishReason: FinishReason;
  /** Counts of drafted and accepted tokens, if there were drafts. */
  readonly drafts?: DraftCounts | undefined;
}

/** Options of generating with a second model. */
export interface TextOptions extends GenerateOptions {
  /**
   * A smaller model with the same vocabulary, which proposes tokens for this one to verify in one run. At temperature 0 and
   * with a watermark the text is the same as without; else its distribution is.
   */
  readonly draft?: GPT2 | undefined;
  /** Most tokens that it proposes at once. Default 4. */
  readonly draftTokens?: number | undefined;
}

export interface CompletionsOptions extends TextOptions {
  /** Continuations to generate, of which the `samples` with the highest mean log-probability a token are returned. */
  readonly bestOf?: number | undefined;
}

/** Options of many requests at once. */
export type RequestOptions = RunOptions & AdapterOption;

export interface LogitsOptions extends AdapterOption {
  readonly signal?: AbortSignal | undefined;
}

export interface ScoreOptions extends AdapterOption {
  /** The context before the text, which is not itself scored. At least one token; default `<|endoftext|>`. */
  readonly context?: TextOrIds | undefined;
  /**
   * For texts longer than the model's context: tokens by which the window moves on. A smaller stride is slower and gives
   * each token more context. From 1 to nCtx; default nCtx / 2.
   */
  readonly stride?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of tokens scored so far. */
  readonly onProgress?: ((tokens: number) => void) | undefined;
}

export interface DetectOptions extends ScoreOptions {
  /** A second model with the same tokenizer, for Binoculars' ratio. */
  readonly observer?: GPT2 | undefined;
  /** Scores of human texts; null for none. By default the `detection.json` in the model's folder, if there is one. */
  readonly calibration?: Calibration | null | undefined;
}

export interface Score {
  readonly tokens: readonly number[];
  /** Natural logarithm of each token's probability, given all before it. */
  readonly logprobs: Float64Array;
  /** Their sum. */
  readonly logprob: number;
  /** exp(-logprob / tokens). */
  readonly perplexity: number;
  /** Length of the text in UTF-8; undefined without a tokenizer. */
  readonly bytes: number | undefined;
  /** -log2 of the text's probability, divided by its bytes: comparable between tokenizers. */
  readonly bitsPerByte: number | undefined;
}
