import type { ModelConfig } from "../../architectures/config.js";
import { GPT_NEO_HUGGING_FACE } from "../../architectures/gpt-neo/formats/huggingface.js";
import { GPT2_HUGGING_FACE } from "../../architectures/gpt2/formats/huggingface.js";
import type { HuggingFaceMapping } from "../../architectures/mapping.js";
import type { ByteSource } from "../../checkpoint/byte-source.js";
import { quote } from "../../checkpoint/quote.js";
import { readSafetensors, type SafetensorsFile, type SafetensorsTensor } from "../../checkpoint/safetensors.js";
import { isShardIndex, joinShards, readShardIndex } from "../../checkpoint/safetensors-index.js";
import { type JsonObject, readJsonSource } from "../../checkpoint/strict-json.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { type Checkpoint, mainDtype } from "../checkpoint.js";
import { samplingBeside } from "../generation-config.js";
import { matchTensors } from "../match-tensors.js";
import {
  CONFIG_FILE,
  CONFIG_HINT,
  type ModelFiles,
  type OpenFiles,
  readingFiles,
  tokenizerFilesIn,
} from "../model-files.js";
import { configBeside, takeHead } from "./task-head.js";

/** Architectures by their `model_type` in config.json. */
export const HUGGING_FACE_MAPPINGS: readonly HuggingFaceMapping[] = [GPT2_HUGGING_FACE, GPT_NEO_HUGGING_FACE];

/** @throws {ConfigError} a model of another architecture. */
export function huggingFaceMapping(json: JsonObject, file: string): HuggingFaceMapping {
  const mapping = HUGGING_FACE_MAPPINGS.find(({ modelType }) => modelType === json.model_type);
  if (mapping !== undefined) return mapping;
  const expected = HUGGING_FACE_MAPPINGS.map(({ modelType }) => quote(modelType)).join(" or ");
  const hint = "Only GPT-2 and GPT-Neo models can be read";
  throw new ConfigError({ op: `reading ${file}: model_type`, expected, got: quote(json.model_type), hint });
}

export interface HuggingFaceConfig {
  readonly mapping: HuggingFaceMapping;
  readonly config: ModelConfig;
  readonly bosTokenId?: number;
  readonly eosTokenId?: number;
}

/**
 * The model that a config.json describes.
 *
 * @param file the file's path, for errors.
 * @throws {ConfigError} another architecture, sizes that it can't have, or a variant that computes something else.
 */
export function configFromHuggingFace(json: JsonObject, file: string): HuggingFaceConfig {
  const mapping = huggingFaceMapping(json, file);
  const config = mapping.readConfig(json, file);
  return {
    mapping,
    config,
    ...tokenId("bosTokenId", json.bos_token_id, config),
    ...tokenId("eosTokenId", json.eos_token_id, config),
  };
}

/** Smaller models often keep GPT-2's 50256 in their files, a token they don't have: that is no token. */
function tokenId<K extends string>(key: K, id: unknown, { vocabSize }: ModelConfig): { [P in K]?: number } {
  const valid = Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabSize;
  return valid ? ({ [key]: id } as { [P in K]: number }) : {};
}

/**
 * Reads config.json and the headers of safetensors files; tensor data stays where it is until it is used.
 *
 * @param file the weights, or the index of their shards.
 * @throws {CheckpointError} a file is missing or malformed, or the tensors are not those of the configuration.
 * @throws {ConfigError} config.json describes another architecture, or a variant that is not supported.
 */
export function openHuggingFace(file: string, files: ModelFiles): Checkpoint {
  return readingFiles(files, (opened) => {
    const configFile = opened.need(CONFIG_FILE, CONFIG_HINT);
    const weights = opened.open(file);
    const json = readJsonSource(configFile);
    const { mapping, config: described, ...tokens } = configFromHuggingFace(json, configFile.name);
    const { metadata, found } = readWeights(file, weights, opened);
    const byName = tableNames(found.values(), mapping, weights.name);
    const head = takeHead(byName, json, described, configFile.name);
    const config = configBeside(head, byName, described);
    const tensors = matchTensors(byName, { config, weights: weights.name, matrices: "in_out" });
    return {
      format: "huggingface",
      ...opened.describe(),
      config,
      dtype: mainDtype(tensors.values()),
      tensors,
      ...(head && { head }),
      metadata,
      ...tokens,
      ...samplingBeside(files),
      ...tokenizerFilesIn(files),
    };
  });
}

function readWeights(
  file: string,
  weights: ByteSource,
  opened: OpenFiles,
): { metadata: Readonly<Record<string, string>>; found: ReadonlyMap<string, SafetensorsTensor> } {
  if (!isShardIndex(file)) {
    const { metadata, tensors } = readSafetensors(weights);
    return { metadata, found: tensors };
  }
  const index = readShardIndex(weights, "safetensors");
  const shards = new Map<string, SafetensorsFile>();
  for (const name of new Set(index.values())) shards.set(name, readSafetensors(opened.open(name)));
  const [first] = shards.values();
  return { metadata: first!.metadata, found: joinShards(weights.name, index, shards) };
}

/**
 * A file's tensors by their names in the table of tensors; those that are no part of the model are left out.
 *
 * @throws {CheckpointError} two of the same name, as with a prefix and without.
 */
export function tableNames<T extends { readonly name: string }>(
  found: Iterable<T>,
  mapping: HuggingFaceMapping,
  file: string,
): Map<string, T> {
  const byName = new Map<string, T>();
  for (const tensor of found) {
    const name = mapping.tableName(tensor.name);
    if (name === undefined) continue;
    const other = byName.get(name);
    if (other !== undefined) {
      const op = `reading ${file}: tensor ${quote(tensor.name)}`;
      const got = `both ${quote(other.name)} and ${quote(tensor.name)}`;
      throw new CheckpointError({ op, expected: "one tensor of this name", got });
    }
    byName.set(name, tensor);
  }
  return byName;
}
