import type { ByteSource } from "../../../checkpoint/byte-source.js";
import type { GgufMetadata } from "../../../checkpoint/gguf/metadata.js";
import { type GgufFile, readGguf } from "../../../checkpoint/gguf/read.js";
import { type Checkpoint, mainDtype } from "../../checkpoint.js";
import { configFromGguf, tensorsFromGguf } from "../../names/state-dict-gguf.js";
import { hasTokenizer, specialIdsFromGguf } from "./tokenizer-keys.js";

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
    // Loaded when asked for, as other threads can read the weights meanwhile.
    ...(hasTokenizer(metadata) && {
      loadTokenizer: async () => (await import("./tokenizer.js")).tokenizerFromGguf(metadata, source.name),
    }),
    close: () => source.close(),
  };
}

/** Longest text to show. */
const LONGEST = 1000;

const GENERAL = "general.";
/** Known already: it is a model, and a GPT-2. */
const KNOWN = ["architecture", "type"];

/** What the file says about its model: name, author, license, … */
function describe(metadata: GgufMetadata): Record<string, string> {
  const texts = new Map<string, string>();
  for (const key of metadata.keys()) {
    if (!key.startsWith(GENERAL) || metadata.typeOf(key) !== "string") continue;
    const name = key.slice(GENERAL.length);
    if (!KNOWN.includes(name)) texts.set(name, metadata.string(key)!.slice(0, LONGEST));
  }
  return Object.fromEntries(texts);
}
