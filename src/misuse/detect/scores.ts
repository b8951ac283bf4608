import type { TokenStatistics } from "./token-statistics.js";

/**
 * Scores without training, as functions of a text's token statistics. `sign` gives them one direction: the larger
 * sign · score, the more a text looks like a model's.
 */
export const SCORES = {
  logLikelihood: { name: "log-likelihood", about: "mean ln p of its tokens", sign: 1 },
  logRank: { name: "log-rank", about: "mean ln rank of its tokens", sign: -1 },
  curvature: {
    name: "curvature",
    about: "conditional probability curvature: how far ln p of the text is above that of the model's own samples, in σ",
    sign: 1,
  },
  binoculars: {
    name: "Binoculars",
    about: "log-perplexity divided by the cross-entropy of an observer's and the model's predictions",
    sign: -1,
  },
} as const;
export type ScoreName = keyof typeof SCORES;
export const SCORE_NAMES = Object.keys(SCORES) as ScoreName[];

/** `binoculars` needs an observer. */
export type Scores = Readonly<Partial<Record<ScoreName, number>>>;

/**
 * Scores of the first `count` tokens.
 *
 * - logLikelihood = 1/T Σ ln p(x_t), logRank = 1/T Σ ln rank(x_t) (Gehrmann et al. 2019; Mitchell et al. 2023);
 * - curvature = (Σ ln p(x_t) - Σ μ_t) / √Σ σ²_t, μ and σ² of ln p over the model's own prediction: Fast-DetectGPT with the
 *   sampling model as scoring model (Bao et al. 2024, arXiv 2310.05130, equation 3, in closed form);
 * - binoculars = log-perplexity / mean cross-entropy (Hans et al. 2024, arXiv 2401.12070). As in its authors' program, the
 *   mean includes the prediction after the text.
 */
export function scoresOf(statistics: TokenStatistics, count = statistics.logprobs.length): Scores {
  const { logprobs, ranks, means, variances, crossEntropies } = statistics;
  let [logprob, logRank, mean, variance] = [0, 0, 0, 0];
  for (let t = 0; t < count; t++) {
    logprob += logprobs[t]!;
    logRank += Math.log(ranks[t]!);
    mean += means[t]!;
    variance += variances[t]!;
  }
  const scores = {
    logLikelihood: logprob / count,
    logRank: logRank / count,
    // Certain predictions have no variance; the text is then just as expected.
    curvature: variance > 0 ? (logprob - mean) / Math.sqrt(variance) : 0,
  };
  if (crossEntropies.length === 0) return scores;
  const observed = crossEntropies.subarray(0, count + 1).reduce((sum, x) => sum + x, 0) / (count + 1);
  return { ...scores, binoculars: -logprob / count / observed };
}

/** GLTR's rank buckets: the largest rank of each. */
export const RANK_BUCKETS = [10, 100, 1000, Number.POSITIVE_INFINITY] as const;

/** Index of the bucket of a rank. */
export const rankBucket = (rank: number): number => RANK_BUCKETS.findIndex((most) => rank <= most);

/** Counts the ranks in each bucket. */
export function countBuckets(ranks: ArrayLike<number>): number[] {
  const counts = RANK_BUCKETS.map(() => 0);
  for (let t = 0; t < ranks.length; t++) counts[rankBucket(ranks[t]!)]!++;
  return counts;
}
