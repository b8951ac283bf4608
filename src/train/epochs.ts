import { UsageError } from "../errors.js";
import { defaultWarmdown, defaultWarmup, type TrainSettings } from "./settings.js";
import type { TrainerOptions } from "./trainer-options.js";
import type { TrainingData } from "./training-data.js";

/**
 * Settings for a number of epochs: as many steps as they take, from which missing settings of the schedule follow.
 *
 * @throws {UsageError} the number of epochs is out of range.
 */
export function inEpochs(
  settings: TrainSettings,
  data: TrainingData,
  { epochs, resume, settings: given = {} }: TrainerOptions,
): TrainSettings {
  if (epochs === undefined) return settings;
  if (!(epochs > 0 && epochs <= 1e6)) {
    throw new UsageError({ op: "training: epochs", expected: "a positive number", got: String(epochs) });
  }
  const steps = data.stepsFor(epochs);
  // A resumed run keeps its intervals.
  if (resume) return { ...settings, steps };
  const each = (times: number): number => Math.max(1, Math.round(steps / (times * Math.max(1, epochs))));
  const { warmupSteps = defaultWarmup(steps), warmdownSteps = defaultWarmdown(steps) } = given;
  const { valEvery = each(4), sampleEvery = each(1) } = given;
  return {
    ...settings,
    steps,
    warmupSteps,
    warmdownSteps,
    valEvery,
    saveEvery: given.saveEvery ?? (valEvery || each(4)),
    sampleEvery,
  };
}
