import { DataError } from "../../errors.js";
import { mismatch } from "../../util/json-shape.js";
import { type FalsePositives, falsePositivesAt, isSoundTable, keptScores } from "./rate-table.js";
import { SCORE_NAMES, SCORES, type ScoreName, scoresOf } from "./scores.js";
import type { TokenStatistics } from "./token-statistics.js";

/**
 * Scores of human texts under one model, by length, from which false-positive rates are read. A score alone means nothing: it
 * depends on the model, the length and the kind of text.
 */
export interface Calibration {
  readonly format: typeof FORMAT;
  readonly version: 1;
  /** The human texts. */
  readonly set: { readonly name: string; readonly texts: number };
  readonly model: Fingerprint;
  readonly observer?: Fingerprint | undefined;
  readonly lengths: readonly CalibratedLength[];
}

/** Tells models apart by what they compute, whatever file they came from. */
export interface Fingerprint {
  readonly nLayer: number;
  readonly nEmbd: number;
  readonly vocabSize: number;
  /** Mean ln p of {@link PROBE}. */
  readonly probe: number;
}

export interface CalibratedLength {
  readonly tokens: number;
  readonly texts: number;
  /** {@link keptScores} of the texts' sign · score. */
  readonly scores: Readonly<Partial<Record<ScoreName, readonly number[]>>>;
}

const FORMAT = "gpt2-ts detection calibration";
export const PROBE = "The quick brown fox jumps over the lazy dog, and nobody in the village was surprised.";
/** Tolerance of the probe: quantizing to 8 bits changes it by a few thousandths of a nat, other models by far more. */
const PROBE_TOLERANCE = 0.02;

/** Lengths in tokens. Shorter texts carry too little evidence. */
export const CALIBRATED_LENGTHS = [32, 64, 128, 256, 512, 1024] as const;
export const SHORTEST = CALIBRATED_LENGTHS[0];
/** Fewest texts of a length whose tail is usable. */
export const FEWEST_TEXTS = 100;

/**
 * Makes the table of a set of human passages.
 *
 * @param passages their statistics. Each passage counts at all lengths that it reaches.
 * @throws {DataError} there are too few passages of the shortest length.
 */
export function calibrationOf(
  passages: readonly TokenStatistics[],
  about: Pick<Calibration, "model" | "observer"> & { readonly name: string },
): Calibration {
  const lengths = CALIBRATED_LENGTHS.flatMap((tokens) => {
    const reached = passages.filter(({ logprobs }) => logprobs.length >= tokens);
    return reached.length < FEWEST_TEXTS ? [] : [lengthOf(reached, tokens)];
  });
  if (lengths.length === 0) {
    const long = passages.filter(({ logprobs }) => logprobs.length >= SHORTEST).length;
    const expected = `at least ${FEWEST_TEXTS} passages of ${SHORTEST} tokens or more`;
    throw new DataError({ op: "calibrating detection", expected, got: String(long) });
  }
  const { name, model, observer } = about;
  const set = { name, texts: passages.length };
  return { format: FORMAT, version: 1, set, model, ...(observer && { observer }), lengths };
}

function lengthOf(passages: readonly TokenStatistics[], tokens: number): CalibratedLength {
  const all = passages.map((statistics) => scoresOf(statistics, tokens));
  const scores = SCORE_NAMES.filter((name) => all[0]![name] !== undefined).map((name) => {
    return [name, keptScores(all.map((of) => SCORES[name].sign * of[name]!))] as const;
  });
  return { tokens, texts: all.length, scores: Object.fromEntries(scores) };
}

/** The false-positive rate at a text's score; undefined if it is too short, or the calibration lacks this score. */
export function falsePositives(
  { lengths }: Calibration,
  name: ScoreName,
  statistics: TokenStatistics,
): FalsePositives | undefined {
  const tables = lengths.flatMap(({ tokens, texts, scores }) => {
    const kept = scores[name];
    return kept ? [{ size: tokens, texts, kept }] : [];
  });
  if (name === "binoculars" && statistics.crossEntropies.length === 0) return undefined;
  const scoreOf = (count: number): number => SCORES[name].sign * scoresOf(statistics, count)[name]!;
  return falsePositivesAt(tables, statistics.logprobs.length, scoreOf);
}

export function sameModel(a: Fingerprint, b: Fingerprint): boolean {
  const shape = a.nLayer === b.nLayer && a.nEmbd === b.nEmbd && a.vocabSize === b.vocabSize;
  return shape && Math.abs(a.probe - b.probe) <= PROBE_TOLERANCE;
}

const FINGERPRINT = { fields: { nLayer: "count", nEmbd: "count", vocabSize: "count", probe: "number" } } as const;
const NUMBERS = { optional: { list: "number" } } as const;

/** @throws {DataError} the JSON is not a calibration. */
export function checkCalibration(value: unknown, path: string): Calibration {
  const found = mismatch(value, {
    fields: {
      format: { oneOf: [FORMAT] },
      version: { oneOf: [1] },
      set: { fields: { name: "string", texts: "count" } },
      model: FINGERPRINT,
      observer: { optional: FINGERPRINT },
      lengths: {
        list: {
          fields: {
            tokens: "count",
            texts: "count",
            scores: { fields: { logLikelihood: NUMBERS, logRank: NUMBERS, curvature: NUMBERS, binoculars: NUMBERS } },
          },
        },
      },
    },
  });
  const op = `reading ${path}`;
  if (found) {
    const { path: at, expected, got } = found;
    throw new DataError({ op: at === "" ? op : `${op}: ${at}`, expected, got });
  }
  const calibration = value as Calibration;
  if (calibration.lengths.length > 0 && calibration.lengths.every(isSound)) return calibration;
  throw new DataError({
    op,
    expected: "the number of kept scores that follows from the number of texts",
    got: "a different number of scores",
  });
}

/** Whether lengths ascend, as {@link calibrationOf} writes them. */
function isSound({ texts, scores }: CalibratedLength, i: number, all: readonly CalibratedLength[]): boolean {
  if (i > 0 && all[i - 1]!.tokens >= all[i]!.tokens) return false;
  return Object.values(scores).every((kept) => isSoundTable(texts, kept));
}
