import { readSmallJson } from "../../data/small-file.js";
import { DataError } from "../../errors.js";
import { writeFileAtomically } from "../../util/atomic-write.js";
import { mismatch } from "../../util/json-shape.js";
import { checkOptionNames } from "../../util/nearest.js";
import {
  CALIBRATION_SHAPE,
  calibrateDetector,
  checkDetectorCalibration,
  type DetectorCalibration,
  type TextScorer,
} from "./detector.js";
import { fitLogistic, type LogisticWeights, logOdds } from "./logistic.js";
import { type LabelledText, splitTexts } from "./split-texts.js";
import { Tfidf, type TfidfOptions } from "./tfidf.js";

/**
 * The detector released with GPT-2's outputs (Solaiman et al. 2019): TF-IDF of words and pairs of words, and logistic
 * regression with the penalty chosen on validation texts.
 */
export class TfidfDetector implements TextScorer {
  readonly about = "TF-IDF of words and pairs, logistic regression";

  constructor(
    readonly features: Tfidf,
    readonly weights: LogisticWeights,
  ) {}

  logOdds(text: string): number {
    return logOdds(this.weights, this.features.transform(text));
  }

  async score(texts: readonly string[]): Promise<number[]> {
    return texts.map((text) => this.logOdds(text));
  }
}

export interface TrainedDetector {
  readonly detector: TfidfDetector;
  readonly calibration: DetectorCalibration;
  /** The chosen C: the weight of the data against the penalty. */
  readonly C: number;
  /** Share of validation texts classified correctly at even odds. */
  readonly accuracy: number;
  readonly texts: { readonly train: number; readonly validation: number; readonly calibration: number };
}

export interface TrainDetectorOptions extends TfidfOptions {
  /** Name of the set of human texts. */
  readonly name: string;
  /** Values of C to try. Default 2^-6 to 2^6. */
  readonly penalties?: readonly number[] | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** The values of the released baseline. */
export const PENALTIES = Array.from({ length: 13 }, (_, i) => 2 ** (i - 6));

/**
 * Trains a detector on eight of ten texts, chooses C on the ninth, and takes false-positive rates from the human ones of the
 * tenth. The same texts give the same bits.
 *
 * @throws {DataError} there are too few texts.
 */
export async function trainTfidfDetector(
  human: readonly string[],
  machine: readonly string[],
  given: TrainDetectorOptions,
): Promise<TrainedDetector> {
  checkOptionNames("training a detector", given, {
    name: true,
    penalties: true,
    minDf: true,
    maxFeatures: true,
    onProgress: true,
  });
  const { name, penalties = PENALTIES, onProgress, ...options } = given;
  const parts = splitTexts(human, machine);
  const { detector, C, accuracy } = fitDetector(parts.train, parts.validation, penalties, options, onProgress);
  return {
    detector,
    C,
    accuracy,
    calibration: await calibrateDetector(detector, parts.calibration, name),
    texts: {
      train: parts.train.length,
      validation: parts.validation.length,
      calibration: parts.calibration.length,
    },
  };
}

/** Fits all values of C, each from the previous weights, and keeps the one that is best on the validation texts. */
export function fitDetector(
  train: readonly LabelledText[],
  validation: readonly LabelledText[],
  penalties: readonly number[],
  options: TfidfOptions = {},
  onProgress?: (done: number, total: number) => void,
): Pick<TrainedDetector, "detector" | "C" | "accuracy"> {
  const features = Tfidf.fit(
    train.map(({ text }) => text),
    options,
  );
  if (features.terms.length === 0) {
    const expected = `terms that are in at least ${options.minDf ?? 5} texts`;
    throw new DataError({ op: "training a detector", expected, got: "none", hint: "Give more texts" });
  }
  const [rows, held] = [train, validation].map((texts) => texts.map(({ text }) => features.transform(text)));
  const labels = train.map(({ machine }) => machine);
  let best: Pick<TrainedDetector, "detector" | "C" | "accuracy"> | undefined;
  let weights: LogisticWeights | undefined;
  for (const [i, C] of penalties.entries()) {
    weights = fitLogistic(rows!, labels, features.terms.length, C, weights);
    const right = validation.filter(({ machine }, k) => logOdds(weights!, held![k]!) > 0 === machine).length;
    const accuracy = right / validation.length;
    if (!best || accuracy > best.accuracy) best = { detector: new TfidfDetector(features, weights), C, accuracy };
    onProgress?.(i + 1, penalties.length);
  }
  return best!;
}

const FORMAT = "gpt2-ts TF-IDF detector";

/** @throws {DataError} the file can't be written. */
export function saveTfidfDetector(path: string, trained: TrainedDetector): Promise<void> {
  const { detector, ...about } = trained;
  const { terms, idf } = detector.features;
  const weights = Array.from(detector.weights);
  const json = { format: FORMAT, version: 1, ...about, terms, idf, weights };
  return writeFileAtomically(path, `${JSON.stringify(json)}\n`, DataError);
}

const COUNT_FIELDS = { fields: { train: "count", validation: "count", calibration: "count" } } as const;
const SHAPE = {
  fields: {
    format: { oneOf: [FORMAT] },
    version: { oneOf: [1] },
    C: "number",
    accuracy: "number",
    texts: COUNT_FIELDS,
    calibration: CALIBRATION_SHAPE,
    terms: { list: "string" },
    idf: { list: "number" },
    weights: { list: "number" },
  },
} as const;

/** @throws {DataError} the file can't be read, or is not such a detector. */
export async function loadTfidfDetector(path: string): Promise<TrainedDetector> {
  const op = `reading ${path}`;
  const value = readSmallJson(path, { expected: "a detector made by gpt2 detect --train" });
  const found = mismatch(value, SHAPE);
  if (found) throw new DataError({ op: found.path === "" ? op : `${op}: ${found.path}`, ...found });
  const { terms, idf, weights, calibration, C, accuracy, texts } = value as SavedDetector;
  if (idf.length !== terms.length || weights.length !== terms.length + 1) {
    const got = `${idf.length} idf and ${weights.length} weights`;
    throw new DataError({ op, expected: `${terms.length} idf and ${terms.length + 1} weights`, got });
  }
  const detector = new TfidfDetector(new Tfidf(terms, idf), Float64Array.from(weights));
  return { detector, C, accuracy, texts, calibration: checkDetectorCalibration(calibration, path) };
}

interface SavedDetector extends Omit<TrainedDetector, "detector"> {
  readonly terms: string[];
  readonly idf: number[];
  readonly weights: number[];
}
