import { UsageError } from "../../errors.js";
import type { LogLikelihood, LogLikelihoodRequest } from "../../generate/requests.js";
import { checkOptionNames } from "../../util/nearest.js";
import { RandomStream } from "../../util/random.js";
import { SuffixSearch } from "../trace/search.js";
import type { TokenIndex } from "../trace/token-index.js";
import { wilsonInterval } from "./wilson.js";

/** The parts of a model that extraction uses; `GPT2` has them. */
export interface ExtractedModel {
  readonly config: { readonly nCtx: number };
  logLikelihoods(
    requests: readonly LogLikelihoodRequest<ArrayLike<number>>[],
    options?: { readonly signal?: AbortSignal | undefined; readonly onProgress?: ((done: number) => void) | undefined },
  ): Promise<LogLikelihood[]>;
}

export interface ExtractableOptions {
  /** Lengths of the prompts, in tokens. Default 10, 50, 100, 200. */
  readonly promptTokens?: readonly number[] | undefined;
  /** Tokens that the model must reproduce. Default 50. */
  readonly targetTokens?: number | undefined;
  /** Number of passages of the corpus to try, each with every length of prompt. Default 1,000. */
  readonly passages?: number | undefined;
  /** Seed for choosing passages. Default 1. */
  readonly seed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Number of passages of a class that the model reproduces. */
export interface ExtractableRate {
  readonly promptTokens: number;
  /** The class: how often the continuation occurs in the corpus, at least and at most. `max` is Infinity in the last. */
  readonly minCount: number;
  readonly maxCount: number;
  readonly passages: number;
  readonly extractable: number;
  readonly rate: number;
  /** 95% confidence interval of the rate. */
  readonly interval: readonly [low: number, high: number];
}

export interface ExtractionReport {
  readonly targetTokens: number;
  readonly passages: number;
  /** For each length of prompt, over all passages. */
  readonly rates: readonly ExtractableRate[];
  /** The same, for each class of continuations. */
  readonly byCount: readonly ExtractableRate[];
  /** Reproduced passages, the shortest prompt first. */
  readonly examples: readonly { readonly promptTokens: number; readonly position: number; readonly count: number }[];
}

/** Classes of passages by how often the continuation occurs in the corpus. */
const COUNTS: readonly (readonly [min: number, max: number])[] = [
  [1, 1],
  [2, 3],
  [4, 9],
  [10, 99],
  [100, Number.POSITIVE_INFINITY],
];
const MAX_EXAMPLES = 20;

/**
 * Measures how much of a corpus a model reproduces (Carlini et al. 2023, "Quantifying Memorization Across Neural Language
 * Models"): a passage is extractable with k tokens of context if the model, given the k tokens before it, continues greedily
 * with the passage itself. Passages are drawn uniformly from all positions with enough of their document before and after.
 *
 * Naively, continue each prompt token by token. But greedy decoding writes the passage exactly if each of its tokens is the
 * likeliest after the true tokens before it, so one run over prompt and passage is enough.
 *
 * @throws {UsageError} an option is out of range, or the documents or the context are too short.
 */
export async function measureExtractable(
  model: ExtractedModel,
  index: TokenIndex,
  options: ExtractableOptions = {},
): Promise<ExtractionReport> {
  checkOptionNames("measuring extraction", options, {
    promptTokens: true,
    targetTokens: true,
    passages: true,
    seed: true,
    signal: true,
    onProgress: true,
  });
  const { promptTokens = [10, 50, 100, 200], targetTokens = 50, passages = 1000, seed = 1, signal } = options;
  const longest = checkSizes(promptTokens, targetTokens, passages, model.config.nCtx);
  const positions = drawPositions(index, longest, targetTokens, passages, seed);
  const search = new SuffixSearch(index);
  const drawn = positions.map((position) => {
    const target = tokensOf(index, position, position + targetTokens);
    const { from, to } = search.find(target, 0, targetTokens);
    return { position, target, count: to - from };
  });
  const tried: { promptTokens: number; position: number; count: number; extractable: boolean }[] = [];
  for (const length of promptTokens) {
    const requests = drawn.map(({ position, target }) => {
      return { context: tokensOf(index, position - length, position), continuation: target, best: true };
    });
    const done = tried.length;
    const onProgress = (n: number) => options.onProgress?.(done + n, promptTokens.length * drawn.length);
    const results = await model.logLikelihoods(requests, { signal, onProgress });
    for (const [i, { best }] of results.entries()) {
      const { position, target, count } = drawn[i]!;
      tried.push({ promptTokens: length, position, count, extractable: target.every((token, j) => token === best[j]) });
    }
  }
  const rate = (length: number, [minCount, maxCount]: readonly [number, number]): ExtractableRate => {
    const of = tried.filter((t) => t.promptTokens === length && t.count >= minCount && t.count <= maxCount);
    const extractable = of.filter((t) => t.extractable).length;
    const counted = { passages: of.length, extractable, rate: of.length === 0 ? 0 : extractable / of.length };
    return { promptTokens: length, minCount, maxCount, ...counted, interval: wilsonInterval(extractable, of.length) };
  };
  return {
    targetTokens,
    passages: drawn.length,
    rates: promptTokens.map((length) => rate(length, [1, Number.POSITIVE_INFINITY])),
    byCount: COUNTS.flatMap((counts) => promptTokens.map((length) => rate(length, counts))).filter(
      (r) => r.passages > 0,
    ),
    examples: tried
      .filter((t) => t.extractable)
      .sort((a, b) => a.promptTokens - b.promptTokens || a.count - b.count)
      .slice(0, MAX_EXAMPLES)
      .map(({ promptTokens: length, position, count }) => ({ promptTokens: length, position, count })),
  };
}

function checkSizes(prompts: readonly number[], target: number, passages: number, nCtx: number): number {
  const wrong = (name: string, expected: string, got: unknown) =>
    new UsageError({ op: `measuring extraction: ${name}`, expected, got: String(got) });
  const isPositive = (n: number) => Number.isInteger(n) && n >= 1;
  if (prompts.length === 0 || !prompts.every(isPositive)) throw wrong("promptTokens", "positive integers", prompts);
  if (!isPositive(target)) throw wrong("targetTokens", "a positive integer", target);
  if (!isPositive(passages)) throw wrong("passages", "a positive integer", passages);
  const longest = Math.max(...prompts);
  if (target >= nCtx) throw wrong("targetTokens", `less than ${nCtx}, the model's context`, target);
  if (longest + target > nCtx) {
    throw wrong("promptTokens", `at most ${nCtx - target}: the model's context is ${nCtx} tokens`, longest);
  }
  return longest;
}

const tokensOf = (index: TokenIndex, start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, i) => index.token(start + i));

/** Random positions with at least `before` tokens of the document before them, and `after` from there on. */
function drawPositions(index: TokenIndex, before: number, after: number, count: number, seed: number): number[] {
  const random = new RandomStream(seed);
  const drawn = new Set<number>();
  // In a corpus of long documents most positions qualify. The limit ends the search if none does, or too few do.
  const most = 100 * Math.min(count, index.length);
  for (let tries = 0; drawn.size < count && tries < most; tries++) {
    const position = Math.floor(random.uniform() * index.length);
    const { start, end } = index.documentAt(position);
    if (position - before >= start && position + after <= end) drawn.add(position);
  }
  if (drawn.size > 0) return [...drawn].sort((a, b) => a - b);
  const expected = `documents of at least ${before + after} tokens`;
  throw new UsageError({ op: "measuring extraction", expected, got: `none among ${most} positions tried` });
}
