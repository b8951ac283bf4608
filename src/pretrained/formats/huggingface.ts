import type { ByteSource } from "../../checkpoint/byte-source.js";
import { readLlmcModel } from "../../checkpoint/llmc.js";
import { readSafetensors, type SafetensorsFile, type SafetensorsTensor } from "../../checkpoint/safetensors.js";
import { joinShards, readJsonSource, readShardIndex } from "../../checkpoint/safetensors-index.js";
import { type Checkpoint, mainDtype, type TokenizerFiles } from "../checkpoint.js";
import {
  canonicalNames,
  configFromHuggingFace,
  configFromLlmc,
  tensorsFromHuggingFace,
  tensorsFromLlmc,
} from "../names/state-dict.js";
import { configBeside, takeHead } from "../names/state-dict-classifier.js";

/** The files of a Hugging Face model, however they are reached: a folder, a cache, the network. */
export interface HuggingFaceSources {
  /** What to call the whole in messages. */
  readonly path: string;
  /** config.json */
  readonly config: ByteSource;
  /** model.safetensors, or with `openShard` model.safetensors.index.json. */
  readonly weights: ByteSource;
  /** Opens a file that the index names, by its plain file name. */
  readonly openShard?: (file: string) => ByteSource;
  readonly tokenizerFiles?: TokenizerFiles;
}

/**
 * Reads configuration and headers; tensor data stays where it is until asked for. On failure the sources are closed.
 *
 * @throws {CheckpointError} a file is malformed, or the tensors are not those of the configuration.
 * @throws {ConfigError} config.json describes no GPT-2, or a variant that is not supported.
 */
export function loadHuggingFace(sources: HuggingFaceSources): Checkpoint {
  const opened = [sources.config, sources.weights];
  return closingOnError(opened, () => {
    const json = readJsonSource(sources.config);
    const model = configFromHuggingFace(json, sources.config.name);
    const { files, found } = readWeights(sources, opened);
    const byName = canonicalNames(found.values(), sources.weights.name);
    const head = takeHead(byName, json, model.config, sources.config.name);
    const config = configBeside(head, byName, model.config);
    const tensors = tensorsFromHuggingFace(byName, config, sources.weights.name);
    return {
      format: "huggingface",
      path: sources.path,
      files: opened.map(({ name, size }) => ({ path: name, size })),
      ...model,
      config,
      dtype: mainDtype(tensors.values()),
      tensors,
      ...(head && { head }),
      metadata: files[0]!.metadata,
      ...(sources.tokenizerFiles && { tokenizerFiles: sources.tokenizerFiles }),
      close: () => closeAll(opened),
    };
  });
}

function readWeights(
  { weights, openShard }: HuggingFaceSources,
  opened: ByteSource[],
): { files: SafetensorsFile[]; found: ReadonlyMap<string, SafetensorsTensor> } {
  if (openShard === undefined) {
    const file = readSafetensors(weights);
    return { files: [file], found: file.tensors };
  }
  const index = readShardIndex(weights, "safetensors");
  const shards = new Map<string, SafetensorsFile>();
  for (const name of new Set(index.values())) {
    const source = openShard(name);
    opened.push(source);
    shards.set(name, readSafetensors(source));
  }
  return { files: [...shards.values()], found: joinShards(weights.name, index, shards) };
}

/**
 * Reads the header of a llm.c model file. On failure the source is closed.
 *
 * @throws {CheckpointError} the file is malformed.
 */
export function loadLlmc(source: ByteSource): Checkpoint {
  return closingOnError([source], () => {
    const model = readLlmcModel(source);
    const config = configFromLlmc(model);
    return {
      format: "llm.c",
      path: source.name,
      files: [{ path: source.name, size: source.size }],
      config,
      dtype: model.dtype,
      tensors: tensorsFromLlmc(model, config),
      metadata: {},
      close: () => source.close(),
    };
  });
}

export function closeAll(sources: readonly ByteSource[]): void {
  for (const source of sources) source.close();
}

/** Runs `run` and closes the sources, those that it added too, if it throws. */
export function closingOnError<T>(sources: readonly ByteSource[], run: () => T): T {
  try {
    return run();
  } catch (error) {
    closeAll(sources);
    throw error;
  }
}
