import { DataError } from "../../errors.js";
import {
  type FalsePositives,
  falsePositivesAt,
  isSoundTable,
  keptScores,
  type SizedScores,
} from "../detect/rate-table.js";
import { wordsOf } from "./terms.js";

/** Scores texts by the log-odds of the machine class that the scorer was trained on. */
export interface TextScorer {
  readonly about: string;
  score(texts: readonly string[]): Promise<number[]>;
}

/** Lengths in words at which a trained detector is calibrated. */
const WORD_LENGTHS = [20, 50, 100, 200, 400] as const;
/** Fewest human texts of a length that give a usable rate. */
const FEWEST_TEXTS = 20;

/** The scores that a trained detector gave to held-out texts. */
export interface DetectorCalibration {
  /** The set of human texts, which the detector was not trained on. */
  readonly name: string;
  readonly lengths: readonly SizedScores[];
}

const LENGTH_SHAPE = { fields: { size: "count", texts: "count", kept: { list: "number" } } } as const;
/** The shape of a {@link DetectorCalibration} in a file. */
export const CALIBRATION_SHAPE = { fields: { name: "string", lengths: { list: LENGTH_SHAPE } } } as const;

export interface ClassifierDetection {
  readonly words: number;
  /** Log-odds of the machine class. */
  readonly logOdds: number;
  /** Undefined if the text is too short. */
  readonly falsePositives: FalsePositives | undefined;
  readonly calibration: string;
}

/**
 * Scores the beginnings of held-out human texts at several lengths.
 *
 * @throws {DataError} there are too few of them.
 */
export async function calibrateDetector(
  scorer: TextScorer,
  human: readonly string[],
  name: string,
): Promise<DetectorCalibration> {
  const lengths: SizedScores[] = [];
  for (const size of WORD_LENGTHS) {
    const reached = human.map((text) => firstWords(text, size)).filter((text) => text !== undefined);
    if (reached.length < FEWEST_TEXTS) continue;
    const kept = keptScores(await scorer.score(reached));
    lengths.push({ size, texts: reached.length, kept });
  }
  if (lengths.length > 0) return { name, lengths };
  const expected = `at least ${FEWEST_TEXTS} held-out human texts of ${WORD_LENGTHS[0]} words or more`;
  const long = human.filter((text) => firstWords(text, WORD_LENGTHS[0]) !== undefined);
  throw new DataError({ op: "calibrating a detector", expected, got: String(long.length) });
}

/** Scores a text, and says how often human texts of its length score as high. */
export async function classifyText(
  scorer: TextScorer,
  { name, lengths }: DetectorCalibration,
  text: string,
): Promise<ClassifierDetection> {
  const words = wordsOf(text).length;
  const size = Math.min(words, lengths.at(-1)!.size);
  const [logOdds, ofStart] = await scorer.score([text, firstWords(text, size) ?? text]);
  const falsePositives = falsePositivesAt(lengths, words, () => ofStart!);
  return { words, logOdds: logOdds!, falsePositives, calibration: name };
}

/** The first `count` words of a text; undefined if it has fewer. */
export function firstWords(text: string, count: number): string | undefined {
  const words = text.matchAll(/[\p{L}\p{N}_]{2,}/gu);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const next = words.next();
    if (next.done) return undefined;
    end = next.value.index + next.value[0].length;
  }
  return text.slice(0, end);
}

/** Checks a calibration read from a file. @throws {DataError} its lengths are not valid. */
export function checkDetectorCalibration(calibration: DetectorCalibration, path: string): DetectorCalibration {
  const { lengths } = calibration;
  const ascend = lengths.every(({ size }, i) => i === 0 || size > lengths[i - 1]!.size);
  if (lengths.length > 0 && ascend && lengths.every(({ texts, kept }) => isSoundTable(texts, kept))) return calibration;
  throw new DataError({
    op: `reading ${path}: calibration`,
    expected: "scores of human texts by length",
    got: "inconsistent scores",
  });
}
