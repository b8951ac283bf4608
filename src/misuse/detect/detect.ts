import { type Calibration, falsePositives, SHORTEST } from "./calibration.js";
import type { FalsePositives } from "./rate-table.js";
import { countBuckets, SCORE_NAMES, type ScoreName, type Scores, scoresOf } from "./scores.js";
import type { TokenStatistics } from "./token-statistics.js";

/** Why a detection has no false-positive rates. */
export type Uncalibrated = "too short" | "no calibration" | "calibration of another model";

/** Statistics and scores of a text, and how often human texts score as high. They do not prove who wrote the text. */
export interface Detection {
  readonly tokens: readonly number[];
  readonly statistics: TokenStatistics;
  /** Numbers of tokens that rank among the model's likeliest 10, 100, 1,000, and lower. */
  readonly buckets: readonly number[];
  readonly scores: Scores;
  /** Share of human texts of about this length that score at least as high. */
  readonly falsePositives: Readonly<Partial<Record<ScoreName, FalsePositives>>>;
  /** The set of human texts behind {@link falsePositives}, and how many of the text's tokens were compared. */
  readonly calibration: { readonly name: string; readonly tokens: number } | undefined;
  /** Why there are no false-positive rates. */
  readonly uncalibrated: Uncalibrated | undefined;
}

/**
 * Makes a detection from a text's statistics.
 *
 * @param calibration this model's, or the reason for its absence
 */
export function detectionOf(
  tokens: readonly number[],
  statistics: TokenStatistics,
  calibration: Calibration | Exclude<Uncalibrated, "too short">,
): Detection {
  const all = {
    tokens,
    statistics,
    buckets: countBuckets(statistics.ranks),
    scores: scoresOf(statistics),
  };
  const without = (uncalibrated: Uncalibrated): Detection => {
    return { ...all, falsePositives: {}, calibration: undefined, uncalibrated };
  };
  const shortest = typeof calibration === "string" ? SHORTEST : calibration.lengths[0]!.tokens;
  if (tokens.length < shortest) return without("too short");
  if (typeof calibration === "string") return without(calibration);
  const rates = SCORE_NAMES.map((name) => [name, falsePositives(calibration, name, statistics)] as const);
  return {
    ...all,
    falsePositives: Object.fromEntries(rates.filter(([, rate]) => rate !== undefined)),
    calibration: {
      name: calibration.set.name,
      tokens: Math.min(tokens.length, calibration.lengths.at(-1)!.tokens),
    },
    uncalibrated: undefined,
  };
}
