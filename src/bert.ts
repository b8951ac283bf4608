/// <reference lib="esnext.disposable" preserve="true" />

import type { BertConfig } from "./architectures/bert/config.js";
import { bertOutputs } from "./architectures/bert/outputs.js";
import type { TaskHead } from "./architectures/task-head.js";
import type { Backend } from "./backend/backend.js";
import { answerSpans, type ScoredWindow } from "./bert/answer.js";
import { filledMasks, targetIds } from "./bert/fill-mask.js";
import { needTaskHead, positive, topLabels } from "./bert/heads.js";
import { logProbability, maskedCopies } from "./bert/likelihood.js";
import { bestAnswers } from "./bert/n-best.js";
import {
  AGGREGATIONS,
  type AnswerSpan,
  type AnswerSpanOptions,
  type BertEmbedOptions,
  type BertReadOptions,
  type BertRunOptions,
  type BertScore,
  type BertScoreOptions,
  type BestAnswers,
  type BestAnswersOptions,
  type ClassifyTextOptions,
  type FilledMask,
  type FillMaskOptions,
  type QuestionInput,
  type TextInput,
  type TextLabel,
  type TokenLabel,
  type TokensOptions,
} from "./bert/options.js";
import { softmax } from "./bert/probabilities.js";
import { Texts } from "./bert/texts.js";
import { labelTokens } from "./bert/token-labels.js";
import type { DType } from "./dtype/dtype.js";
import { UsageError } from "./errors.js";
import type { AttentionMaps } from "./generate/attention-maps.js";
import { normalized } from "./generate/classify.js";
import { Encoder, POOLINGS, type RowsOptions } from "./generate/encoder.js";
import { mainType } from "./model/loaded-model.js";
import type { FetchBertOptions } from "./pretrained/fetch-bert.js";
import type { BertParts, LoadBertOptions } from "./pretrained/load-bert.js";
import { type LoadedHead, scoresOf } from "./pretrained/loaded-head.js";
import type { SentenceModules } from "./pretrained/sentence-modules.js";
import type { EncoderTokenizer } from "./tokenizer/encoder-tokenizer.js";
import { questionWindows } from "./tokenizer/question-windows.js";
import type { WordPieceEncoding } from "./tokenizer/wordpiece/encode-pieces.js";
import { wordsOf } from "./tokenizer/words-of.js";
import { checkOptionNames } from "./util/nearest.js";
import { needNode } from "./util/runtime.js";

const RUN = { signal: true, onProgress: true } as const;
const READ = { ...RUN, truncate: true } as const;

/**
 * A BERT: reads whole texts, in both directions. Calls may overlap.
 *
 *     const model = await BERT.load("path/to/bert-base-uncased");
 *     const [best] = await model.fillMask("This is a simple [MASK].");
 */
export class BERT {
  readonly config: BertConfig;
  readonly tokenizer: EncoderTokenizer | undefined;
  /** Storage dtype of most weights. */
  readonly dtype: DType;
  /** Why the native kernels could not be used, if they were requested. */
  readonly fallback: Error | undefined;
  readonly backend: Backend;
  readonly #encoder: Encoder;
  readonly #texts: Texts;
  readonly #head: LoadedHead | undefined;
  readonly #sentence: SentenceModules | undefined;
  readonly #owned: readonly { dispose(): void | Promise<void> }[];
  #disposed: Promise<void> | undefined;

  /** Makes a model of weights in memory; {@link BERT.load} reads files. */
  constructor(parts: BertParts) {
    const { backend, config, weights, wordPiece } = parts;
    this.config = config;
    this.tokenizer = wordPiece;
    this.backend = backend;
    this.dtype = mainType(weights.values());
    this.fallback = parts.fallback;
    this.#encoder = new Encoder(backend, config, weights, parts);
    this.#texts = new Texts(wordPiece, config);
    this.#head = parts.head;
    this.#sentence = parts.sentence;
    this.#owned = [...(parts.owned ?? [])];
  }

  /**
   * Loads a model: a Hugging Face folder, one of sentence-transformers, a file of any format that holds a BERT, or a model of
   * the Hugging Face hub (`owner/name`).
   *
   * @throws {CheckpointError} there is no such model, or it is malformed.
   * @throws {UsageError} it is not a BERT, or there are no files, as in a browser.
   */
  static async load(name: string, options: LoadBertOptions = {}): Promise<BERT> {
    needNode("BERT.load", 'In a page: await BERT.fetch("models/mine/"), from your server or the hub');
    const { loadBertModel } = await import("#node/pretrained/load-bert.js");
    return new BERT(await loadBertModel(name, options));
  }

  /**
   * Loads a model without files, as in a browser: fetched into memory from the address of a folder (`models/mini/`) or file, or by
   * its name on the hub.
   *
   * @throws {DownloadError} a file can't be fetched.
   * @throws {CheckpointError} there is no such model, or it is malformed.
   */
  static async fetch(name: string, options: FetchBertOptions = {}): Promise<BERT> {
    const { fetchBertParts } = await import("./pretrained/fetch-bert.js");
    return new BERT(await fetchBertParts(name, options));
  }

  /** The kind of task head the model was fine-tuned with, if any. */
  get fineTunedFor(): TaskHead["kind"] | undefined {
    return this.#head?.kind;
  }

  /** The labels that {@link BERT.classify} or {@link BERT.tokens} choose from. */
  get labels(): readonly string[] | undefined {
    return this.#head?.labels;
  }

  /**
   * The embedding [nEmbd] of a text, or of each of several: its hidden states, pooled as the model's files say, or their
   * mean. A sentence-transformers model reads as much of a text as it was trained to.
   *
   * @throws {ContextLengthError} a text longer than the context, unless `truncate` is set.
   */
  embed(texts: readonly string[], options?: BertEmbedOptions): Promise<Float32Array[]>;
  embed(text: string, options?: BertEmbedOptions): Promise<Float32Array>;
  async embed(
    input: string | readonly string[],
    options: BertEmbedOptions = {},
  ): Promise<Float32Array | Float32Array[]> {
    checkOptionNames("embedding", options, { ...READ, pooling: true, normalize: true });
    const { maxLength } = this.#sentence ?? {};
    const { pooling = this.#sentence?.pooling ?? "mean", normalize = this.#sentence?.normalize ?? true } = options;
    const { truncate = maxLength !== undefined, ...run } = options;
    if (!POOLINGS.includes(pooling)) {
      throw new UsageError({ op: "embedding: pooling", expected: POOLINGS.join(" or "), got: String(pooling) });
    }
    const texts = typeof input === "string" ? [input] : input;
    const encoded = texts.map((text) =>
      this.#texts.columns(this.#texts.encode(text, "embedding", truncate, maxLength)),
    );
    const vectors = await this.#encoder.encode(encoded, { pooling, signal: run.signal, onProgress: run.onProgress });
    const scaled = normalize ? vectors.map(normalized) : vectors;
    return typeof input === "string" ? scaled[0]! : scaled;
  }

  /** The cosine of the embeddings of two texts, or of each of `a` with each of `b`. */
  similarity(a: readonly string[], b: readonly string[], options?: BertReadOptions): Promise<number[][]>;
  similarity(a: string, b: string, options?: BertReadOptions): Promise<number>;
  async similarity(
    a: string | readonly string[],
    b: string | readonly string[],
    options: BertReadOptions = {},
  ): Promise<number | number[][]> {
    checkOptionNames("similarity", options, READ);
    const [as, bs] = [a, b].map((side) => (typeof side === "string" ? [side] : side));
    const vectors = await this.embed([...as!, ...bs!], { ...options, normalize: true });
    const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    const others = vectors.slice(as!.length);
    const cosines = vectors.slice(0, as!.length).map((x) => others.map((y) => dot(x, y)));
    return typeof a === "string" ? cosines[0]![0]! : cosines;
  }

  /**
   * The most probable tokens in place of the text's one `[MASK]`; {@link BERT.fillMasks} takes several.
   *
   * @throws {UsageError} the text has none or several, or the model has no head for masked tokens.
   */
  async fillMask(text: string, options: FillMaskOptions = {}): Promise<FilledMask[]> {
    const filled = await this.#fill(text, options, true);
    return filled[0]!;
  }

  /** The most probable tokens for each `[MASK]` of a text, independently. */
  fillMasks(text: string, options: FillMaskOptions = {}): Promise<FilledMask[][]> {
    return this.#fill(text, options, false);
  }

  async #fill(text: string, options: FillMaskOptions, onlyOne: boolean): Promise<FilledMask[][]> {
    checkOptionNames("filling a mask", options, { ...RUN, topK: true, targets: true });
    const topK = positive("filling a mask: topK", options.topK ?? 5);
    const { tokenizer } = this.#texts;
    const encoding = this.#texts.encode(text, "filling a mask", false);
    const { mask } = this.#texts;
    const rows = Array.from(encoding.ids.keys()).filter((n) => encoding.ids[n] === mask);
    if (rows.length === 0 || (onlyOne && rows.length > 1)) {
      const hint = rows.length > 1 ? "fillMasks fills each of several" : undefined;
      throw new UsageError({
        op: "filling a mask",
        expected: `a text with ${onlyOne ? "one" : "a"} ${tokenizer.maskToken}`,
        got: rows.length === 0 ? "none" : String(rows.length),
        ...(hint !== undefined && { hint }),
      });
    }
    const targets = options.targets && targetIds(tokenizer, options.targets);
    const logits = await this.maskedLogits([{ ...encoding, rows }], options);
    const V = this.config.vocabSize;
    const settings = { topK, targets, skipSpecial: rows.length === 1 };
    return rows.map((row, i) =>
      filledMasks(tokenizer, encoding.ids, row, logits[0]!.subarray(i * V, (i + 1) * V), settings),
    );
  }

  /**
   * Logits [rows, V] of the head for masked tokens at chosen tokens of each text, given as ids and token types.
   *
   * @throws {UsageError} the model has no such head.
   */
  maskedLogits(
    texts: readonly (Pick<WordPieceEncoding, "ids" | "typeIds"> & { readonly rows: readonly number[] })[],
    { signal, onProgress }: BertRunOptions = {},
  ): Promise<Float32Array[]> {
    this.#need("maskedTokens", "filling a mask", "a head for masked tokens");
    const wanted = texts.map(({ rows, ...encoding }) => ({ ...this.#texts.columns(encoding), rows }));
    return this.#encoder.rows(wanted, { output: "maskedTokens", signal, onProgress });
  }

  /**
   * Pseudo-log-likelihoods of a text, or of each of several: see {@link LikelihoodMetric}.
   *
   * @throws {UsageError} the model has no head for masked tokens, or a text is empty.
   */
  score(texts: readonly string[], options?: BertScoreOptions): Promise<BertScore[]>;
  score(text: string, options?: BertScoreOptions): Promise<BertScore>;
  async score(input: string | readonly string[], options: BertScoreOptions = {}): Promise<BertScore | BertScore[]> {
    checkOptionNames("scoring", options, { ...RUN, metric: true });
    const { metric = "word-l2r", signal } = options;
    const { tokenizer } = this.#texts;
    const { mask } = this.#texts;
    const scores: BertScore[] = [];
    for (const text of typeof input === "string" ? [input] : input) {
      const encoding = this.#texts.encode(text, "scoring", false);
      const copies = maskedCopies(tokenizer, encoding, mask, metric);
      if (copies.length === 0)
        throw new UsageError({ op: "text to score", expected: "at least one token", got: "none" });
      const logits = await this.maskedLogits(copies, { signal });
      const tokens = copies.map(({ rows: [place] }) => encoding.ids[place]!);
      const logprobs = Float64Array.from(tokens, (id, i) => logProbability(logits[i]!, id));
      scores.push({ tokens, logprobs, pseudoLogLikelihood: logprobs.reduce((sum, x) => sum + x, 0) });
      options.onProgress?.(scores.length);
    }
    return typeof input === "string" ? scores[0]! : scores;
  }

  /**
   * The probability that the second text follows the first, by the next-sentence head.
   *
   * @throws {UsageError} the model has no such head.
   */
  async nextSentence(text: string, next: string, options: BertReadOptions = {}): Promise<number> {
    checkOptionNames("next sentence", options, READ);
    this.#need("nextSentence", "next sentence", "a head for next sentences");
    const [logits] = await this.#firstRows([{ text, pair: next }], "next sentence", "nextSentence", options);
    // transformers and Google's code: label 0 is "follows".
    return softmax(logits!)[0]!;
  }

  /**
   * The labels of a text, or of each of several, with their probabilities, the most probable first; for regression, the number.
   *
   * @throws {UsageError} the model was not fine-tuned for that.
   */
  classify(texts: readonly TextInput[], options?: ClassifyTextOptions): Promise<TextLabel[][]>;
  classify(text: TextInput, options?: ClassifyTextOptions): Promise<TextLabel[]>;
  async classify(
    input: TextInput | readonly TextInput[],
    options: ClassifyTextOptions = {},
  ): Promise<TextLabel[] | TextLabel[][]> {
    checkOptionNames("classifying", options, { ...READ, topK: true });
    const head = needTaskHead(["classification", "regression"], this.#head, "classify");
    const { topK = head.labels.length } = options;
    const texts: readonly TextInput[] = Array.isArray(input) ? input : [input as TextInput];
    const pooled = await this.#firstRows(texts, "classifying a text", "pooled", { truncate: true, ...options });
    const results = pooled.map((state) => topLabels(head, scoresOf(head, state), positive("classifying: topK", topK)));
    return Array.isArray(input) ? results : results[0]!;
  }

  /**
   * The label of each token of a text, or with `aggregation` its entities.
   *
   * @throws {UsageError} the model was not fine-tuned for that; {@link ContextLengthError} the text is too long.
   */
  async tokens(text: string, options: TokensOptions = {}): Promise<TokenLabel[]> {
    checkOptionNames("labelling tokens", options, { ...READ, aggregation: true, ignoreLabels: true });
    const { aggregation = "none", ignoreLabels = ["O"], truncate = false } = options;
    if (!AGGREGATIONS.includes(aggregation)) {
      const expected = AGGREGATIONS.join(" or ");
      throw new UsageError({ op: "labelling tokens: aggregation", expected, got: String(aggregation) });
    }
    const head = needTaskHead(["tokens"], this.#head, "tokens");
    const { tokenizer } = this.#texts;
    const encoding = this.#texts.encode(text, "labelling tokens", truncate);
    const [scores] = await this.#headScores(head, [encoding], options);
    const given = { text, encoding, labels: head.labels, probabilities: scores!.map(softmax) };
    return labelTokens(tokenizer, given, aggregation, ignoreLabels);
  }

  /**
   * A label for each word of a text: the label of its first token, as the model learned it. With `truncate` words
   * beyond the context have none.
   *
   * @throws {UsageError} the model was not fine-tuned for that; {@link ContextLengthError} the text is too long.
   */
  async tagWords(words: readonly string[], options: BertReadOptions = {}): Promise<string[]> {
    checkOptionNames("tagging words", options, READ);
    const head = needTaskHead(["tokens"], this.#head, "tagWords");
    const encoding = this.#texts.encode(words.join(" "), "tagging words", options.truncate ?? false);
    const [scores] = await this.#headScores(head, [encoding], options);
    const places = wordsOf(encoding, words);
    const read = 1 + places.reduce<number>((last, word) => Math.max(last, word ?? -1), -1);
    // A word of nothing but control characters has no tokens.
    const tags = new Array<string>(read).fill(head.labels.includes("O") ? "O" : head.labels[0]!);
    for (const [n, word] of places.entries()) {
      if (word !== undefined) tags[word] = topLabels(head, scores![n]!, 1)[0]!.label;
    }
    return tags;
  }

  /**
   * The span of a context that answers a question, or the most probable ones with `topK`. A long context is read in windows.
   *
   * @throws {UsageError} the model was not fine-tuned for that, or the question leaves no room for the context.
   */
  async answer(input: QuestionInput, options: AnswerSpanOptions = {}): Promise<AnswerSpan[]> {
    const limits = { topK: true, maxAnswerLength: true, maxLength: true, stride: true, allowNoAnswer: true } as const;
    checkOptionNames("answering", options, { ...RUN, ...limits });
    const { topK = 1, maxAnswerLength = 15, allowNoAnswer = false } = options;
    const scored = await this.#scoredWindows(input, options);
    const settings = {
      topK: positive("answering: topK", topK),
      maxAnswerLength: positive("answering: maxAnswerLength", maxAnswerLength),
      allowNoAnswer,
    };
    return answerSpans(this.#texts.tokenizer, input.context, scored, settings);
  }

  /**
   * The best answers to a question, ranked over all windows by logits as BERT's own SQuAD script ranks them, and the
   * score of there being none. {@link BERT.answer} goes by probabilities within each window instead.
   *
   * @throws {UsageError} as {@link BERT.answer}.
   */
  async bestAnswers(input: QuestionInput, options: BestAnswersOptions = {}): Promise<BestAnswers> {
    const limits = { nBest: true, maxAnswerLength: true, maxLength: true, stride: true } as const;
    checkOptionNames("answering", options, { ...RUN, ...limits });
    const { nBest = 20, maxAnswerLength = 30 } = options;
    const scored = await this.#scoredWindows(input, options);
    const settings = {
      nBest: positive("answering: nBest", nBest),
      maxAnswerLength: positive("answering: maxAnswerLength", maxAnswerLength),
    };
    return bestAnswers(this.#texts.tokenizer, input.context, scored, settings);
  }

  async #scoredWindows(
    input: QuestionInput,
    options: Pick<AnswerSpanOptions, "maxLength" | "stride" | "signal" | "onProgress">,
  ): Promise<ScoredWindow[]> {
    const maxLength = Math.min(this.config.nCtx, options.maxLength ?? 384);
    const stride = options.stride ?? Math.min(128, maxLength >> 1);
    const head = needTaskHead(["spans"], this.#head, "answer");
    const windows = questionWindows(this.#texts.tokenizer, input, { maxLength, stride });
    const scores = await this.#headScores(head, windows, options);
    return windows.map((encoding, i) => {
      return { encoding, start: scores[i]!.map(([s]) => s!), end: scores[i]!.map(([, e]) => e!) };
    });
  }

  /** Attention weights of one layer over a text. @throws {ShapeError} the model has fewer layers. */
  attention(text: TextInput, layer: number): Promise<AttentionMaps> {
    return this.#encoder.attention(this.#texts.columns(this.#texts.encode(text, "attention", false)), layer);
  }

  /** Waits for running calls, then releases memory, files and threads. A backend passed by the caller stays open. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#release();
    return this.#disposed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #release(): Promise<void> {
    await this.#encoder.dispose();
    for (const owned of this.#owned) await owned.dispose();
  }

  /** @throws {UsageError} the model lacks a part. */
  #need(output: keyof typeof bertOutputs, op: string, expected: string): void {
    if (bertOutputs[output].present(this.config)) return;
    throw new UsageError({ op, expected: `a model with ${expected}`, got: "one without" });
  }

  /** An output at the first token of each text. */
  #firstRows(
    texts: readonly TextInput[],
    op: string,
    output: keyof typeof bertOutputs,
    { truncate = false, signal, onProgress }: BertReadOptions,
  ): Promise<Float32Array[]> {
    this.#need(output, op, "a pooler");
    const encoded = texts.map((text) => ({
      ...this.#texts.columns(this.#texts.encode(text, op, truncate)),
      rows: [0],
    }));
    return this.#encoder.rows(encoded, { output, signal, onProgress });
  }

  /** The task head's scores for each token of each text. */
  async #headScores(
    head: LoadedHead,
    encodings: readonly WordPieceEncoding[],
    { signal, onProgress }: RowsOptions,
  ): Promise<number[][][]> {
    const C = this.config.nEmbd;
    const wanted = encodings.map((encoding) => ({ ...this.#texts.columns(encoding), rows: [...encoding.ids.keys()] }));
    const hidden = await this.#encoder.rows(wanted, { signal, onProgress });
    return hidden.map((states, i) =>
      wanted[i]!.rows.map((row) => scoresOf(head, states.subarray(row * C, (row + 1) * C))),
    );
  }
}
