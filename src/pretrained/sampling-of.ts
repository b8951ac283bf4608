import { CheckpointError, UsageError } from "../errors.js";
import type { Checkpoint } from "./checkpoint.js";
import { type SamplingSettings, samplingSettings } from "./sampling-options.js";

/** How a model is to draw tokens, if its files say so. @throws {CheckpointError} a value is out of range. */
export function samplingOf({ sampling, path }: Checkpoint): SamplingSettings | undefined {
  if (sampling === undefined) return undefined;
  try {
    return samplingSettings(sampling);
  } catch (cause) {
    if (!(cause instanceof UsageError)) throw cause;
    throw new CheckpointError({ op: `reading ${path}: generation_config.json`, got: cause.message, cause });
  }
}
