import type { Pooling } from "../architectures/architecture.js";
import type { FinishReason, GeneratedToken } from "../generate/generate.js";

/** Text, or token ids. */
export type TextOrIds = string | ArrayLike<number>;

/** One continuation of a prompt. */
export interface Completion {
  /** Without the prompt. */
  readonly text: string;
  readonly tokens: readonly number[];
  /** One for each token: see {@link GeneratedToken.logprob}. */
  readonly logprobs: readonly GeneratedToken["logprob"][];
  readonly finishReason: FinishReason;
}

export interface AdapterOption {
  /** Name of a loaded LoRA adapter, or null for the model as it is; by default the adapter `default`, if there is one. */
  readonly adapter?: string | null | undefined;
}

export interface LogitsOptions extends AdapterOption {
  readonly signal?: AbortSignal | undefined;
}

export interface ScoreOptions extends AdapterOption {
  /** What comes before the text, and is not itself scored. At least one token; default `<|endoftext|>`. */
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

/** How whole texts are read, for `GPT2.classify`, `regress` and `embed`. */
export interface ReadOptions extends AdapterOption {
  /**
   * Read only the beginning of a text that is longer than the context, instead of refusing it. Default true for a model's
   * task, which it was trained on in this way; false for embeddings.
   */
  readonly truncate?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of texts done so far. */
  readonly onProgress?: ((texts: number) => void) | undefined;
}

export interface EmbedOptions extends ReadOptions {
  /** How a text's final hidden states become one vector: their mean (the default), or the last token's. */
  readonly pooling?: Pooling | undefined;
  /** Make vectors of length 1, whose products are cosines. Default true. */
  readonly normalize?: boolean | undefined;
}
