import { deflateSync } from "node:zlib";
import { UsageError } from "../../errors.js";
import { checkOptionNames } from "../../util/nearest.js";
import { SuffixSearch } from "../trace/search.js";
import type { TokenIndex } from "../trace/token-index.js";

/** The parts of a model that ranking uses; `GPT2` has them. */
export interface RankingModel {
  readonly config: { readonly nCtx: number };
  completions(
    prompt: string,
    options: {
      maxNewTokens: number;
      samples: number;
      seed: number;
      topK: number;
      temperature: number;
      signal?: AbortSignal;
    },
  ): Promise<{ readonly text: string; readonly tokens: readonly number[] }[]>;
  score(text: string, options?: { signal?: AbortSignal }): Promise<{ readonly logprobs: ArrayLike<number> }>;
}

export interface RankSamplesOptions {
  /** Number of texts to generate. Default 1,000. */
  readonly samples?: number | undefined;
  /** Most tokens of each text. Default 256, or the context if that is less. */
  readonly maxNewTokens?: number | undefined;
  /** Sample from this many likeliest tokens. Default 40. */
  readonly topK?: number | undefined;
  /** Default 1. */
  readonly seed?: number | undefined;
  /** A text counts as memorized if this many consecutive tokens occur in the corpus. Default 50. */
  readonly matchTokens?: number | undefined;
  /** Number of texts at the top of each ranking to check. Default 100. */
  readonly top?: number | undefined;
  /** A small and a medium model, for the two rankings that compare models. */
  readonly references?: { readonly small?: RankingModel | undefined; readonly medium?: RankingModel | undefined };
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * The rankings of Carlini et al. 2021, "Extracting Training Data from Large Language Models", section 5.2. H is a text's mean
 * negative log-probability under the model. All but `perplexity` and `window` divide another measure of the text by H, and
 * the largest quotient comes first.
 */
export const RANKINGS = {
  perplexity: "the lowest perplexity",
  small: "log-perplexity of a smaller model over the model's",
  medium: "log-perplexity of a medium model over the model's",
  zlib: "bytes of the zlib-compressed text over the model's log-perplexity",
  lowercase: "log-perplexity of the text in lower case over that of the text",
  window: "the lowest perplexity of 50 consecutive tokens",
} as const;
export type Ranking = keyof typeof RANKINGS;

export interface RankedSample {
  readonly text: string;
  readonly tokens: number;
  /** Length of the longest run of tokens that occurs in the corpus. */
  readonly longestRun: number;
  readonly memorized: boolean;
  /** Score in each ranking, the largest first. */
  readonly scores: Readonly<Partial<Record<Ranking, number>>>;
}

export interface SampleRankings {
  readonly matchTokens: number;
  readonly samples: readonly RankedSample[];
  /** Number of memorized texts. */
  readonly memorized: number;
  /** Number of memorized texts among the first `top` of each ranking. */
  readonly rankings: Readonly<Partial<Record<Ranking, { readonly top: number; readonly memorized: number }>>>;
}

const WINDOW = 50;
/** Texts generated together. */
const BATCH = 16;

/**
 * Generates texts without a prompt, ranks them by how likely they are to be memorized, and finds those that are: texts with a
 * long run of tokens from the corpus.
 *
 * @throws {UsageError} an option is out of range.
 */
export async function rankSamples(
  model: RankingModel,
  index: TokenIndex,
  options: RankSamplesOptions = {},
): Promise<SampleRankings> {
  checkOptionNames("ranking samples", options, {
    samples: true,
    maxNewTokens: true,
    topK: true,
    seed: true,
    matchTokens: true,
    top: true,
    references: true,
    signal: true,
    onProgress: true,
  });
  const { samples = 1000, topK = 40, seed = 1, matchTokens = 50, references = {}, signal } = options;
  const maxNewTokens = options.maxNewTokens ?? Math.min(256, model.config.nCtx - 1);
  for (const [name, value] of Object.entries({ samples, maxNewTokens, matchTokens })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new UsageError({ op: `ranking samples: ${name}`, expected: "a positive integer", got: String(value) });
  }
  const search = new SuffixSearch(index);
  const ranked: RankedSample[] = [];
  for (let done = 0; done < samples; done += BATCH) {
    const count = Math.min(BATCH, samples - done);
    const sampling = { topK, temperature: 1, seed: seed + done, ...(signal && { signal }) };
    for (const { text } of await model.completions("", { maxNewTokens, samples: count, ...sampling })) {
      // A text that ends at once has no perplexity.
      if (text.trim() !== "") ranked.push(await rank(text, model, references, search, index, matchTokens, signal));
      options.onProgress?.(ranked.length, samples);
    }
  }
  const top = Math.min(options.top ?? 100, ranked.length);
  const present = (Object.keys(RANKINGS) as Ranking[]).filter((name) => ranked[0]?.scores[name] !== undefined);
  const best = (name: Ranking) => [...ranked].sort((a, b) => b.scores[name]! - a.scores[name]!).slice(0, top);
  const memorizedIn = (list: readonly RankedSample[]) => list.filter(({ memorized }) => memorized).length;
  return {
    matchTokens,
    samples: ranked,
    memorized: memorizedIn(ranked),
    rankings: Object.fromEntries(present.map((name) => [name, { top, memorized: memorizedIn(best(name)) }])),
  };
}

async function rank(
  text: string,
  model: RankingModel,
  { small, medium }: NonNullable<RankSamplesOptions["references"]>,
  search: SuffixSearch,
  index: TokenIndex,
  matchTokens: number,
  signal: AbortSignal | undefined,
): Promise<RankedSample> {
  const options = signal ? { signal } : {};
  const loss = async (by: RankingModel, of: string) => mean((await by.score(of, options)).logprobs, -1);
  const { logprobs } = await model.score(text, options);
  const own = mean(logprobs, -1);
  const longestRun = longestMatch(search, index.tokenizer.encode(text));
  return {
    text,
    tokens: logprobs.length,
    longestRun,
    memorized: longestRun >= matchTokens,
    scores: {
      perplexity: -own,
      ...(small && { small: (await loss(small, text)) / own }),
      ...(medium && { medium: (await loss(medium, text)) / own }),
      zlib: deflateSync(text).length / own,
      lowercase: (await loss(model, text.toLowerCase())) / own,
      window: -lowestWindow(logprobs),
    },
  };
}

function mean(values: ArrayLike<number>, sign: number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return (sign * sum) / values.length;
}

/** Lowest mean loss of {@link WINDOW} consecutive tokens, or of all if there are fewer. */
function lowestWindow(logprobs: ArrayLike<number>): number {
  const width = Math.min(WINDOW, logprobs.length);
  let [sum, lowest] = [0, Number.POSITIVE_INFINITY];
  for (let i = 0; i < logprobs.length; i++) {
    sum -= logprobs[i]!;
    if (i >= width) sum += logprobs[i - width]!;
    if (i >= width - 1) lowest = Math.min(lowest, sum / width);
  }
  return lowest;
}

/** Length of the longest run of a text's tokens that occurs in the corpus. */
export function longestMatch(search: SuffixSearch, tokens: ArrayLike<number>): number {
  let longest = 0;
  for (let i = 0; i < tokens.length; i++) longest = Math.max(longest, search.longest(tokens, i).length);
  return longest;
}
