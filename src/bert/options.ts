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
  /** Read only the beginning of a text longer than the context, instead of refusing it. */
  readonly truncate?: boolean | undefined;
}

export interface BertEmbedOptions extends BertReadOptions {
  /** How a text's hidden states become one vector. Default: as the model's files say, else their mean. */
  readonly pooling?: Pooling | undefined;
  /** Scale vectors to length 1, so that their products are cosines. Default: as the model's files say, else true. */
  readonly normalize?: boolean | undefined;
}

export interface BertScoreOptions extends BertRunOptions {
  /** Default `word-l2r`. */
  readonly metric?: LikelihoodMetric | undefined;
}

export interface BertScore {
  readonly tokens: readonly number[];
  /** Natural log-probability of each token with it masked, given the tokens that are not. */
  readonly logprobs: Float64Array;
  /** Their sum. Not a log-probability of the text: compare it only with other texts' from the same model. */
  readonly pseudoLogLikelihood: number;
}

export interface FillMaskOptions extends BertRunOptions {
  /** Number of tokens returned, the most probable first. Default 5. */
  readonly topK?: number | undefined;
  /** Score only these words of the vocabulary. */
  readonly targets?: readonly string[] | undefined;
}

/** A token in place of a mask, in the form of transformers' fill-mask pipeline. */
export interface FilledMask {
  /** Its probability. */
  readonly score: number;
  /** Its id. */
  readonly token: number;
  readonly token_str: string;
  /** The text with the token in it. */
  readonly sequence: string;
}

export interface ClassifyTextOptions extends BertReadOptions {
  /** Number of labels returned, the most probable first. Default: all. */
  readonly topK?: number | undefined;
}

/** A label of a text, in the form of transformers' text-classification pipeline. */
export interface TextLabel {
  readonly label: string;
  /** Its probability; for regression, the number itself. */
  readonly score: number;
}

/** How the labels of tokens become labels of words, and these become entities. */
export type Aggregation = "none" | "simple" | "first" | "average" | "max";
export const AGGREGATIONS: readonly Aggregation[] = ["none", "simple", "first", "average", "max"];

export interface TokensOptions extends BertReadOptions {
  /**
   * `none` (the default): every token by itself. `simple`: neighbours with the same label form an entity. `first`, `average`,
   * `max`: the same, after each word is given the label of its first token, of its tokens' mean probabilities, or of its most
   * certain token.
   */
  readonly aggregation?: Aggregation | undefined;
  /** Labels to leave out. Default: `O`. */
  readonly ignoreLabels?: readonly string[] | undefined;
}

/** A token or an entity, in the form of transformers' token-classification pipeline. */
export interface TokenLabel {
  /** Label of a token, without aggregation. */
  readonly entity?: string;
  /** Label of an entity, without `B-` or `I-`. */
  readonly entity_group?: string;
  readonly score: number;
  /** Index among the text's tokens, without aggregation. */
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
  /** Number of answers returned, the most probable first. Default 1. */
  readonly topK?: number | undefined;
  /** Longest answer, in tokens. Default 15. */
  readonly maxAnswerLength?: number | undefined;
  /** Longest window of question and context, in tokens. Default 384, or the model's context if that is shorter. */
  readonly maxLength?: number | undefined;
  /** Tokens that neighbouring windows share. Default 128, or half a window if that is less. */
  readonly stride?: number | undefined;
  /** Allow "" as the answer, for models trained on questions without an answer. Default false. */
  readonly allowNoAnswer?: boolean | undefined;
}

export interface BestAnswersOptions extends BertRunOptions {
  /** Answers returned at most, and starts and ends of each window that are tried; default 20. */
  readonly nBest?: number | undefined;
  /** Longest answer, in tokens; default 30. */
  readonly maxAnswerLength?: number | undefined;
  /** Longest window of question and context, in tokens; default 384, or the model's context. */
  readonly maxLength?: number | undefined;
  /** Tokens that neighbouring windows share; default 128, or half a window. */
  readonly stride?: number | undefined;
}

/** The best answers over all windows of a context. */
export interface BestAnswers {
  /** The best first; scores are probabilities among these alone. */
  readonly answers: readonly AnswerSpan[];
  /** Logits of no answer less those of the best: above a threshold (0, or one found on other questions) there is none. */
  readonly noAnswer: number;
}

/** An answer, in the form of transformers' question-answering pipeline. */
export interface AnswerSpan {
  readonly score: number;
  /** Start and end in the context, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  readonly answer: string;
}
