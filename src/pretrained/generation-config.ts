/** Hugging Face's generation_config.json: how a model's author would have it write. */

import { quote } from "../checkpoint/quote.js";
import type { JsonObject } from "../checkpoint/strict-json.js";
import { CheckpointError } from "../errors.js";
import { jsonIn, type ModelFiles } from "./model-files.js";

/** What of it is read, by the names of `SamplingOptions`. */
const NAMES = {
  repetitionPenalty: "repetition_penalty",
  temperature: "temperature",
  topK: "top_k",
  topP: "top_p",
  minP: "min_p",
} as const;

export type StoredSampling = { readonly [K in keyof typeof NAMES]?: number };

/**
 * How tokens are to be drawn, as a {@link Checkpoint} has it; nothing if the file doesn't ask for drawing (`do_sample`).
 *
 * @throws {CheckpointError} it is no JSON object, or a value is not a number.
 */
export function samplingBeside(files: ModelFiles): { readonly sampling?: StoredSampling } {
  const found = jsonIn(files, "generation_config.json");
  const sampling = found && samplingFromHuggingFace(found.json, found.path);
  return sampling ? { sampling } : {};
}

function samplingFromHuggingFace(json: JsonObject, path: string): StoredSampling | undefined {
  if (json.do_sample !== true) return undefined;
  const sampling: { -readonly [K in keyof StoredSampling]: number } = {};
  for (const [key, name] of Object.entries(NAMES) as [keyof StoredSampling, string][]) {
    const value = json[name] ?? undefined;
    if (value === undefined) continue;
    if (typeof value !== "number") {
      throw new CheckpointError({ op: `reading ${path}`, expected: `a number as ${name}`, got: quote(value) });
    }
    sampling[key] = value;
  }
  return sampling;
}

export function samplingToHuggingFace(sampling: StoredSampling): JsonObject {
  const entries = Object.entries(sampling).map(([key, value]) => [NAMES[key as keyof StoredSampling], value]);
  return { do_sample: true, ...Object.fromEntries(entries) };
}
