import { configFromGguf, tensorsFromGguf } from "../../model/state-dict-gguf.js";
import type { ByteSource } from "../byte-source.js";
import { type Checkpoint, mainDtype } from "../checkpoint.js";
import type { GgufMetadata } from "./metadata.js";
import { type GgufFile, readGguf } from "./read.js";
import { specialIdsFromGguf, tokenizerFromGguf } from "./tokenizer.js";

/**
 * Reads the header of a GGUF file with a GPT-2 in it; tensor data stays where it is until asked for. On failure the source
 * is closed.
 *
 * @throws {CheckpointError} the file is malformed, or holds something else.
 * @throws {ConfigError} sizes no GPT-2 can have.
 */
export function loadGguf(source: ByteSource): Checkpoint {
  try {
    return checkpointFromGguf(readGguf(source));
  } catch (error) {
    source.close();
    throw error;
  }
}

function checkpointFromGguf(file: GgufFile): Checkpoint {
  const { source, metadata } = file;
  const config = configFromGguf(file);
  const tensors = tensorsFromGguf(file, config);
  return {
    format: "gguf",
    path: source.name,
    files: [{ path: source.name, size: source.size }],
    config,
    dtype: mainDtype(tensors.values()),
    tensors,
    metadata: describe(metadata),
    ...specialIdsFromGguf(metadata, config.vocabSize),
    loadTokenizer: () => tokenizerFromGguf(metadata, source.name),
    close: () => source.close(),
  };
}

/** Longest text to show. */
const LONGEST = 1000;

/** What the file says about itself: the texts of the keys `general.…`. */
function describe(metadata: GgufMetadata): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const key of metadata.keys()) {
    if (!key.startsWith("general.") || metadata.typeOf(key) !== "string") continue;
    texts[key] = metadata.string(key)!.slice(0, LONGEST);
  }
  return texts;
}
