import type { Pooling } from "../architectures/architecture.js";

import type { LikelihoodMetric } from "./likelihood.js";

/** A text, or two that belong together, such as a question and a passage. */
export type TextInput = string | TextPair;

export interface TextPair {
  readonly text: string;
  readonly pair: string;
}

export interface BertRunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of texts done so far. */
  readonly onProgress?: ((texts: number) => void) | undefined;
}

export interface BertReadOptions extends BertRunOptions {
  /** Read only the beginning of a text that is longer than the context, instead of refusing it. */
  readonly truncate?: boolean | undefined;
}

export interface BertEmbedOptions extends BertReadOptions {
  /** How a text's hidden states become one vector; by default as the model's files say, else their mean. */
  readonly pooling?: Pooling | undefined;
  /** Make vectors of length 1, whose products are cosines. By default as the model's files say, else true. */
  readonly normalize?: boolean | undefined;
}

export interface BertScoreOptions extends BertRunOptions {
  /** Default `word-l2r`. */
  readonly metric?: LikelihoodMetric | undefined;
}

export interface BertScore {
  readonly tokens: readonly number[];
  /** Natural logarithm of each token's probability with it masked, given all others that are not. */
  readonly logprobs: Float64Array;
  /** Their sum. Not a log-probability of the text: compare it with those of other texts by the same model alone. */
  readonly pseudoLogLikelihood: number;
}

export interface FillMaskOptions extends BertRunOptions {
  /** The most probable tokens returned; default 5. */
  readonly topK?: number | undefined;
  /** Score these tokens alone, words of the vocabulary. */
  readonly targets?: readonly string[] | undefined;
}

/** A token in place of a mask, as transformers' fill-mask pipeline gives it. */
export interface FilledMask {
  /** Its probability. */
  readonly score: number;
  /** Its id. */
  readonly token: number;
  readonly token_str: string;
  /** The text with it. */
  readonly sequence: string;
}

export interface ClassifyTextOptions extends BertReadOptions {
  /** Labels returned, the most probable first; by default all. */
  readonly topK?: number | undefined;
}

/** A label of a text, as transformers' text-classification pipeline gives it. */
export interface TextLabel {
  readonly label: string;
  /** Its probability; for regression the number itself. */
  readonly score: number;
}

/** How the labels of tokens become those of words, and words those of entities. */
export type Aggregation = "none" | "simple" | "first" | "average" | "max";
export const AGGREGATIONS: readonly Aggregation[] = ["none", "simple", "first", "average", "max"];

export interface TokensOptions extends BertReadOptions {
  /**
   * `none` (the default): every token by itself. `simple`: neighbours of one label are one entity. `first`, `average`, `max`: the
   * same, after each word got the label of its first token, of its tokens' mean probabilities, or of its most certain token.
   */
  readonly aggregation?: Aggregation | undefined;
  /** Labels left out; default `O`. */
  readonly ignoreLabels?: readonly string[] | undefined;
}

/** A token or an entity, as transformers' token-classification pipeline gives them. */
export interface TokenLabel {
  /** Label of a token, without aggregation. */
  readonly entity?: string;
  /** Label of an entity, less `B-` or `I-`. */
  readonly entity_group?: string;
  readonly score: number;
  /** Place among the text's tokens, without aggregation. */
  readonly index?: number;
  readonly word: string;
  /** Start and end in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

export interface QuestionInput {
  readonly question: string;
  readonly context: string;
}

export interface AnswerSpanOptions extends BertRunOptions {
  /** Answers returned, the most probable first; default 1. */
  readonly topK?: number | undefined;
  /** Longest answer, in tokens; default 15. */
  readonly maxAnswerLength?: number | undefined;
  /** Longest window of question and context, in tokens; default 384, or the model's context. */
  readonly maxLength?: number | undefined;
  /** Tokens that neighbouring windows share; default 128, or half a window. */
  readonly stride?: number | undefined;
  /** Whether "" may be an answer, for models that were trained with questions without one. Default false. */
  readonly allowNoAnswer?: boolean | undefined;
}

/** An answer, as transformers' question-answering pipeline gives it. */
export interface AnswerSpan {
  readonly score: number;
  /** Start and end in the context, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly answer: string;
}
