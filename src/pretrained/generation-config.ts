import type { JsonObject } from "../checkpoint/strict-json.js";
import { CheckpointError } from "../errors.js";
import { quote } from "../util/quote.js";
import type { Checkpoint } from "./checkpoint.js";
import { jsonIn, type ModelFiles } from "./model-files.js";

/** Fields of generation_config.json, by the names of `SamplingOptions`. */
const NAMES = {
  repetitionPenalty: "repetition_penalty",
  temperature: "temperature",
  topK: "top_k",
  topP: "top_p",
  minP: "min_p",
} as const;

export type StoredSampling = { readonly [K in keyof typeof NAMES]?: number };

/** The settings for generation in a folder's configuration files. */
export type GenerationSettings = Pick<Checkpoint, "bosTokenId" | "eosTokenIds" | "sampling">;

const FILE = "generation_config.json";

/**
 * The tokens that start and end a text, and the sampling settings, by transformers' rule: generation_config.json decides if it
 * exists, even by omitting a field; otherwise config.json does. (The tokenizer's special tokens play no part.)
 *
 * @param config config.json
 * @param configPath its path, for errors
 * @throws {CheckpointError} generation_config.json is not a JSON object, or a value has the wrong type.
 */
export function generationSettings(
  files: ModelFiles,
  config: { readonly json: JsonObject; readonly path: string },
  vocabSize: number,
): GenerationSettings {
  const generation = jsonIn(files, FILE);
  const { json, path } = generation ?? config;
  const bosTokenId = tokenIds(json.bos_token_id, `${path}: bos_token_id`, vocabSize)[0];
  const eosTokenIds = tokenIds(json.eos_token_id, `${path}: eos_token_id`, vocabSize);
  const sampling = generation && samplingFromHuggingFace(generation.json, generation.path);
  return { bosTokenId, eosTokenIds, ...(sampling && { sampling }) };
}

/** An id, a list of ids, or nothing. Files of small models often keep GPT-2's 50256, which they lack: it is ignored. */
function tokenIds(value: unknown, what: string, vocabSize: number): number[] {
  const ids = value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
  const bad = ids.find((id) => !Number.isSafeInteger(id));
  if (bad !== undefined) {
    throw new CheckpointError({ op: `reading ${what}`, expected: "a token id, or a list of them", got: quote(value) });
  }
  return ids.filter((id) => id >= 0 && id < vocabSize);
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
