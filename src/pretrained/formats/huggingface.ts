import { DISTILBERT_HUGGING_FACE } from "../../architectures/bert/formats/distilbert.js";
import { BERT_HUGGING_FACE } from "../../architectures/bert/formats/huggingface.js";
import { ROBERTA_HUGGING_FACE } from "../../architectures/bert/formats/roberta.js";
import type { ModelConfig } from "../../architectures/config.js";
import { GPT_NEO_HUGGING_FACE } from "../../architectures/gpt-neo/formats/huggingface.js";
import { GPT2_HUGGING_FACE } from "../../architectures/gpt2/formats/huggingface.js";
import type { HuggingFaceMapping } from "../../architectures/mapping.js";
import type { ByteSource } from "../../checkpoint/byte-source.js";
import type { RawTensor } from "../../checkpoint/raw-tensor.js";
import { readSafetensors, type SafetensorsTensor } from "../../checkpoint/safetensors.js";
import { isShardIndex, joinShards, readShardIndex } from "../../checkpoint/safetensors-index.js";
import { type JsonObject, readJsonSource } from "../../checkpoint/strict-json.js";
import { CheckpointError, ConfigError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import { type Checkpoint, mainDtype } from "../checkpoint.js";
import { generationSettings } from "../generation-config.js";
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
export const HUGGING_FACE_MAPPINGS: readonly HuggingFaceMapping[] = [
  GPT2_HUGGING_FACE,
  GPT_NEO_HUGGING_FACE,
  BERT_HUGGING_FACE,
  DISTILBERT_HUGGING_FACE,
  ROBERTA_HUGGING_FACE,
];

/**
 * The mapping for a config.json: by its `model_type`, else by the class in `architectures`, else GPT-2's, the default of
 * transformers' GPT-2 classes.
 *
 * @throws {ConfigError} the model has another architecture.
 */
export function huggingFaceMapping(json: JsonObject, file: string): HuggingFaceMapping {
  const type = json.model_type ?? modelTypeOf(json.architectures);
  const mapping = HUGGING_FACE_MAPPINGS.find(({ modelType }) => modelType === type);
  if (mapping !== undefined) return mapping;
  const expected = HUGGING_FACE_MAPPINGS.map(({ modelType }) => quote(modelType)).join(" or ");
  const hint = "Only GPT-2, GPT-Neo and BERT models can be read";
  throw new ConfigError({ op: `reading ${file}: model_type`, expected, got: quote(type), hint });
}

function modelTypeOf(architectures: unknown): unknown {
  const [name] = Array.isArray(architectures) ? architectures : [];
  if (name === undefined) return HUGGING_FACE_MAPPINGS[0]!.modelType;
  return HUGGING_FACE_MAPPINGS.find((m) => typeof name === "string" && m.classPrefix.test(name))?.modelType ?? name;
}

export interface HuggingFaceConfig {
  readonly mapping: HuggingFaceMapping;
  readonly config: ModelConfig;
}

/**
 * The model described by a config.json.
 *
 * @param file the file's path, for errors.
 * @throws {ConfigError} the architecture is another, a size is impossible, or the variant computes something else.
 */
export function configFromHuggingFace(json: JsonObject, file: string): HuggingFaceConfig {
  const mapping = huggingFaceMapping(json, file);
  return { mapping, config: mapping.readConfig(json, file) };
}

/**
 * Reads config.json and the headers of safetensors files. Tensor data stays in the files until it is used.
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
    const { mapping, config: described } = configFromHuggingFace(json, configFile.name);
    const { metadata, found } = readWeights(file, weights, opened);
    const byName = logicalTensors(tableNames(found.values(), mapping, weights.name), mapping);
    const head = takeHead(byName, json, described, configFile.name);
    const config = configBeside(head, byName, described, mapping);
    const tensors = matchTensors(byName, { config, weights: weights.name, matrices: "in_out" });
    return {
      format: "huggingface",
      ...opened.describe(),
      config,
      dtype: mainDtype(tensors.values()),
      tensors,
      ...(head && { head }),
      metadata,
      ...generationSettings(files, { json, path: configFile.name }, config.vocabSize),
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
  const shards = [...new Set(index.values())].map((name) => readSafetensors(opened.open(name)));
  return { metadata: shards[0]!.metadata, found: joinShards(shards) };
}

/** Tensors by their names in the table, as the table has them. */
export function logicalTensors(
  found: ReadonlyMap<string, RawTensor>,
  { logical }: HuggingFaceMapping,
): Map<string, RawTensor> {
  return new Map([...found].map(([name, tensor]) => [name, logical?.(name, tensor) ?? tensor]));
}

/** torch.compile and DistributedDataParallel wrap a model, and its names, in these. */
const WRAPPERS = /^(_orig_mod\.|module\.)+/;

/**
 * A file's tensors by their names in the table, without those that are not part of the model.
 *
 * @throws {CheckpointError} two tensors have the same name, such as with and without a prefix.
 */
export function tableNames<T extends { readonly name: string }>(
  found: Iterable<T>,
  mapping: HuggingFaceMapping,
  file: string,
): Map<string, T> {
  const byName = new Map<string, T>();
  const all = [...found].map((tensor) => ({ tensor, bare: tensor.name.replace(WRAPPERS, "") }));
  const names = new Set(all.map(({ bare }) => bare));
  for (const { tensor, bare } of all) {
    const name = mapping.tableName(bare);
    if (name === undefined || names.has(mapping.copies?.get(bare) ?? "")) continue;
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
