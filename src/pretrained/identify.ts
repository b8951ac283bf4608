import { CheckpointError } from "../errors.js";
import { STAND_IN_BYTES, standIn } from "../util/stand-in.js";
import type { Checkpoint } from "./checkpoint.js";
import { FORMATS, type Format, findFile } from "./formats.js";
import type { ModelFiles } from "./model-files.js";

/** Identifies files and folders, even of kinds that cannot be read, so that errors can name them. */

/** Files of other kinds by their first bytes (HDF5, RFC 1952, RFC 8878, llm.c's 20240327, 20240328, 20240520). */
const OTHER_CONTENTS: readonly (readonly [bytes: readonly number[], description: string])[] = [
  [[0x89, 0x48, 0x44, 0x46], "an HDF5 file, as Keras writes (tf_model.h5)"],
  [[0x1f, 0x8b], "a gzip-compressed file"],
  [[0x28, 0xb5, 0x2f, 0xfd], "a zstd-compressed file"],
  [[0xc7, 0xd7, 0x34, 0x01], "a llm.c debugging state"],
  [[0xc8, 0xd7, 0x34, 0x01], "a llm.c tokenizer"],
  [[0x88, 0xd8, 0x34, 0x01], "a llm.c token shard"],
];

const OTHER_NAMES: readonly (readonly [pattern: RegExp, description: string])[] = [
  [/\.(meta|data-\d+-of-\d+)$/, "part of a TensorFlow checkpoint; give its folder, or its .index file"],
  [/\.msgpack$/, "a Flax checkpoint"],
  [/\.onnx$/, "an ONNX model"],
  [/\.json$/, "a JSON file; give the folder it is in"],
];

/**
 * The format of a file, or a description of its kind.
 *
 * @param head its first 16 bytes, or the whole file if it is shorter.
 * @param name decides if the bytes do not.
 */
export function identifyFile(head: Uint8Array, name: string): Format | string {
  const isOther = ([bytes]: (typeof OTHER_CONTENTS)[number]) => bytes.every((byte, i) => head[i] === byte);
  return (
    FORMATS.find(({ detect }) => detect.content(head)) ??
    OTHER_CONTENTS.find(isOther)?.[1] ??
    FORMATS.find(({ detect }) => detect.name.test(name)) ??
    OTHER_NAMES.find(([pattern]) => pattern.test(name))?.[1] ??
    "a file of unknown kind"
  );
}

/**
 * Opens one file of a folder as a model.
 *
 * @throws {CheckpointError} its format cannot be read, or it is malformed.
 */
export async function openFile(name: string, files: ModelFiles): Promise<Checkpoint> {
  const head = headOf(name, files);
  const found = standIn(head);
  if (found) throw unreadable(files.path, found.kind, found.hint);
  const format = identifyFile(head, name);
  if (typeof format === "string") throw unreadable(files.path, format);
  return format.read(name, files);
}

function headOf(name: string, files: ModelFiles): Uint8Array {
  const source = files.open(name);
  try {
    // A copy, because the mapped memory goes away.
    return source.bytes(0, Math.min(STAND_IN_BYTES, source.size)).slice();
  } finally {
    source.close();
  }
}

/**
 * Opens the model of a folder, in the first format that finds its file.
 *
 * @throws {CheckpointError} no format does, or the model is malformed.
 */
export async function openFolder(files: ModelFiles): Promise<Checkpoint> {
  const names = files.names();
  for (const format of FORMATS) {
    const file = findFile(format, names);
    if (file !== undefined) return format.read(file, files);
  }
  throw unreadable(files.path, describeFolder(names));
}

function unreadable(path: string, got: string, hint?: string): CheckpointError {
  const all = FORMATS.map(({ reads }) => reads);
  const expected = `${all.slice(0, -1).join(", ")}, or ${all.at(-1)}`;
  return new CheckpointError({ op: `opening ${path}`, expected, got, ...(hint !== undefined && { hint }) });
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

/** Describes a folder without a model, by its file names. */
function describeFolder(names: readonly string[]): string {
  for (const [pattern, description] of FOLDERS) if (names.some((name) => pattern.test(name))) return description;
  return names.length === 0 ? "an empty folder" : "a folder without model files";
}
