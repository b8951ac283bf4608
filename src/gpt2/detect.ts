import type { GenerationModel } from "../generate/generate.js";

import { fingerprintOf } from "../misuse/detect/calibrate.js";
import { type Calibration, sameModel } from "../misuse/detect/calibration.js";
import { type Detection, detectionOf, type Uncalibrated } from "../misuse/detect/detect.js";
import { tokenStatistics } from "../misuse/detect/token-statistics.js";
import type { TextOrIds } from "../model/options.js";
import type { TextIds } from "../model/text-ids.js";
import { checkOptionNames } from "../util/nearest.js";
import { inNode } from "../util/runtime.js";
import type { DetectOptions } from "./options.js";
import { eachScored } from "./score.js";
import type { ScoringModel } from "./scoring-model.js";

/** Engines of the model and of an observer, and the adapters that they apply. */
interface Engines {
  readonly own: GenerationModel;
  readonly observer: GenerationModel | undefined;
}

/** See `GPT2.detect`: several texts one after another. */
export async function detectTexts(
  model: ScoringModel,
  { own: { scheduler, adapter }, observer: other }: Engines,
  ids: TextIds,
  texts: readonly TextOrIds[],
  options: DetectOptions,
): Promise<Detection[]> {
  checkOptionNames("detecting", options, {
    context: true,
    stride: true,
    observer: true,
    calibration: true,
    adapter: true,
    signal: true,
    onProgress: true,
  });
  const observer = other && { engine: other.scheduler.engine, adapter: other.adapter };
  let calibration: UsableCalibration | undefined;
  return eachScored(ids, texts, options, async (tokens, { all, from, ...settings }) => {
    calibration ??= await usableCalibration(model, options);
    const statistics = await tokenStatistics(scheduler.engine, all, from, { ...settings, adapter, observer });
    return detectionOf(tokens, statistics, calibration);
  });
}

type UsableCalibration = Calibration | Exclude<Uncalibrated, "too short">;

/** The calibration of the options or of the model's folder, if it was made with these models. */
async function usableCalibration(
  model: ScoringModel,
  { calibration: given, observer, adapter, signal }: DetectOptions,
): Promise<UsableCalibration> {
  const calibration = given === undefined ? await calibrationOfFolder(model.path) : given;
  if (!calibration) return "no calibration";
  const matches = async (of: ScoringModel, expected: Calibration["model"], options: DetectOptions) =>
    sameModel(await fingerprintOf(of, options), expected);
  if (!(await matches(model, calibration.model, { adapter, signal }))) return "calibration of another model";
  if (!observer || !calibration.observer) return calibration;
  // The other scores do not depend on the observer.
  return (await matches(observer, calibration.observer, { signal })) ? calibration : withoutBinoculars(calibration);
}

function withoutBinoculars(calibration: Calibration): Calibration {
  const lengths = calibration.lengths.map(({ scores: { binoculars: _, ...scores }, ...length }) => ({
    ...length,
    scores,
  }));
  return { ...calibration, lengths };
}

async function calibrationOfFolder(path: string | undefined): Promise<Calibration | undefined> {
  if (path === undefined || !inNode()) return undefined;
  const { calibrationIn } = await import("#node/misuse/detect/calibration-file.js");
  return calibrationIn(path);
}
