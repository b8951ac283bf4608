import { DataError } from "../../errors.js";
import {
  type FalsePositives,
  falsePositivesAt,
  isSoundTable,
  keptScores,
  type SizedScores,
} from "../detect/rate-table.js";
import { wordsOf } from "./terms.js";

/** Scores texts: the logarithm of the odds that a text is of the machine class it was trained on. */
export interface TextScorer {
  readonly about: string;
  score(texts: readonly string[]): Promise<number[]>;
}

/** Lengths in words at which a trained detector is calibrated. */
const WORD_LENGTHS = [20, 50, 100, 200, 400] as const;
/** Below this many human texts of a length a rate says too little. */
const FEWEST_TEXTS = 20;

/** What held-out texts showed of a trained detector. */
export interface DetectorCalibration {
  /** The human texts, which it was not trained on. */
  readonly name: string;
  readonly lengths: readonly SizedScores[];
}

const LENGTH_SHAPE = { fields: { size: "count", texts: "count", kept: { list: "number" } } } as const;
/** What a {@link DetectorCalibration} looks like in a file. */
export const CALIBRATION_SHAPE = { fields: { name: "string", lengths: { list: LENGTH_SHAPE } } } as const;

export interface ClassifierDetection {
  readonly words: number;
  /** Logarithm of the odds for the machine class. */
  readonly logOdds: number;
  /** Undefined for a text that is too short. */
  readonly falsePositives: FalsePositives | undefined;
  readonly calibration: string;
}

/**
 * Scores the beginnings of held-out human texts at several lengths.
 *
 * @throws {DataError} too few of them.
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
  throw new DataError({ op: "calibrating a detector", expected, got: "fewer" });
}

/** A text's score, and how often human texts of its length score as high. */
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

/** A text up to its so-many-th word; undefined if it has fewer. */
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

/** @throws {DataError} lengths read from a file that no calibration has. */
export function checkDetectorCalibration(calibration: DetectorCalibration, path: string): DetectorCalibration {
  const { lengths } = calibration;
  const ascend = lengths.every(({ size }, i) => i === 0 || size > lengths[i - 1]!.size);
  if (lengths.length > 0 && ascend && lengths.every(({ texts, kept }) => isSoundTable(texts, kept))) return calibration;
  throw new DataError({
    op: `reading ${path}: calibration`,
    expected: "scores of human texts by length",
    got: "others",
  });
}
