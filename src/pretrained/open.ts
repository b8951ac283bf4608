import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileOperation, openFileSource } from "../checkpoint/file-source.js";
import { CheckpointError } from "../errors.js";
import type { Checkpoint } from "./checkpoint.js";
import { type FileKind, IDENTIFY_BYTES, identifyFile } from "./identify.js";
import { READERS } from "./readers.js";

/**
 * Opens a model on disk, of any of the formats in `READERS`: a folder or a file. Only headers are read; tensors are read,
 * or used in place, on demand. Close it when done.
 *
 * @throws {CheckpointError} there is nothing there, it is of another format, or it is malformed.
 * @throws {ConfigError} the configuration describes no GPT-2, or a variant that is not supported.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const stats = fileOperation(`opening ${path}`, () => statSync(path));
  return stats.isDirectory() ? openFolder(path) : openFile(path);
}

async function openFile(path: string): Promise<Checkpoint> {
  const { kind, description } = kindOf(path);
  const reader = READERS.find((r) => r.kind === kind);
  if (reader === undefined) throw unreadable(path, description);
  return reader.open(path, path);
}

function kindOf(path: string): FileKind {
  const source = openFileSource(path);
  try {
    return identifyFile(source.bytes(0, Math.min(IDENTIFY_BYTES, source.size)), path);
  } finally {
    source.close();
  }
}

async function openFolder(folder: string): Promise<Checkpoint> {
  const names = fileOperation(`opening ${folder}`, () => readdirSync(folder));
  for (const reader of READERS) {
    for (const wanted of reader.inFolder) {
      const found = names.filter((name) => (typeof wanted === "string" ? name === wanted : wanted.test(name)));
      if (found.length === 1) return reader.open(join(folder, found[0]!), folder);
    }
  }
  throw unreadable(folder, describeFolder(names));
}

function unreadable(path: string, got: string): CheckpointError {
  const takes = READERS.map((reader) => reader.takes);
  const expected = `${takes.slice(0, -1).join(", ")}, or ${takes.at(-1)}`;
  return new CheckpointError({ op: `opening ${path}`, expected, got });
}

const FOLDERS: readonly (readonly [file: RegExp, description: string])[] = [
  [/^adapter_(config\.json|model\.safetensors)$/, "a LoRA adapter, which is not a whole model: use it with --adapter"],
  [/^tf_model\.h5$/, "a Hugging Face folder with TensorFlow weights (tf_model.h5)"],
  [/^flax_model\.msgpack$/, "a Hugging Face folder with Flax weights (flax_model.msgpack)"],
  [/\.ckpt.*\.index$/, "a TensorFlow checkpoint without hparams.json, which gives the model's sizes"],
  [/\.gguf$/, "a folder with several GGUF files; give the path of one of them"],
  [/\.(safetensors|bin|pth?)$/, "a folder of model files; give the path of one of them"],
  [/^config\.json$/, "a folder with config.json and no weights"],
];

/** What a folder that no reader takes holds, by its file names. */
function describeFolder(names: readonly string[]): string {
  for (const [pattern, description] of FOLDERS) if (names.some((name) => pattern.test(name))) return description;
  return names.length === 0 ? "an empty folder" : "a folder without model files";
}
