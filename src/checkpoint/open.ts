import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CheckpointError } from "../errors.js";
import type { Checkpoint, TokenizerFiles } from "./checkpoint.js";
import { fileOperation, openFileSource } from "./file-source.js";
import { IDENTIFY_BYTES, identifyFile } from "./identify.js";
import { loadHuggingFace, loadLlmc } from "./load.js";

const READABLE =
  "a Hugging Face folder (config.json with model.safetensors or its shards), a .safetensors file beside its config.json, or a llm.c model (.bin)";
const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/**
 * Opens a model on disk: a Hugging Face folder, one of its .safetensors files, or a llm.c .bin. Only headers are read;
 * tensors are read, or used in place, on demand. Close it when done.
 *
 * @throws {CheckpointError} there is nothing there, it is of another format, or it is malformed.
 * @throws {ConfigError} config.json describes no GPT-2, or a variant that is not supported.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const stats = fileOperation(`opening ${path}`, () => statSync(path));
  return stats.isDirectory() ? openFolder(path) : openFile(path);
}

function openFile(path: string): Checkpoint {
  const source = openFileSource(path);
  let handedOver = false;
  try {
    const { kind, description } = identifyFile(source.bytes(0, Math.min(IDENTIFY_BYTES, source.size)), path);
    if (kind === "other") throw unreadable(path, description);
    handedOver = kind === "llm.c";
    return handedOver ? loadLlmc(source) : openWeights(dirname(path), path, path);
  } finally {
    if (!handedOver) source.close();
  }
}

function openFolder(folder: string): Checkpoint {
  const names = new Set(fileOperation(`opening ${folder}`, () => readdirSync(folder)));
  // The single file goes first where both are there, as in transformers.
  const weights = [WEIGHTS, INDEX].find((name) => names.has(name));
  if (weights === undefined) throw unreadable(folder, describeFolder(names));
  return openWeights(folder, join(folder, weights), folder);
}

function openWeights(folder: string, weights: string, path: string): Checkpoint {
  const config = join(folder, "config.json");
  if (!existsSync(config)) {
    const hint = "It gives the model's sizes, and belongs in the same folder as the weights";
    throw new CheckpointError({ op: `opening ${path}`, expected: `${config}`, got: "no such file", hint });
  }
  const tokenizerFiles = findTokenizerFiles(folder);
  const source = openFileSource(config);
  try {
    return loadHuggingFace({
      path,
      config: source,
      weights: openFileSource(weights),
      ...(basename(weights) === INDEX && { openShard: (file: string) => openFileSource(join(folder, file)) }),
      ...(tokenizerFiles && { tokenizerFiles }),
    });
  } catch (error) {
    source.close();
    throw error;
  }
}

function findTokenizerFiles(folder: string): TokenizerFiles | undefined {
  const files: { -readonly [K in keyof TokenizerFiles]: TokenizerFiles[K] } = {};
  const names = { vocabJson: "vocab.json", mergesTxt: "merges.txt", tokenizerJson: "tokenizer.json" } as const;
  for (const [key, name] of Object.entries(names)) {
    const path = join(folder, name);
    if (existsSync(path)) files[key as keyof TokenizerFiles] = path;
  }
  return Object.keys(files).length > 0 ? files : undefined;
}

function unreadable(path: string, got: string): CheckpointError {
  return new CheckpointError({ op: `opening ${path}`, expected: READABLE, got });
}

const FOLDERS: readonly (readonly [file: RegExp, description: string])[] = [
  [/^adapter_(config\.json|model\.safetensors)$/, "a LoRA adapter, which is not a whole model"],
  [/^pytorch_model(-\d+-of-\d+)?\.bin$/, "a Hugging Face folder with PyTorch weights (pytorch_model.bin)"],
  [/^tf_model\.h5$/, "a Hugging Face folder with TensorFlow weights (tf_model.h5)"],
  [/^flax_model\.msgpack$/, "a Hugging Face folder with Flax weights (flax_model.msgpack)"],
  [/\.ckpt\.index$|^hparams\.json$/, "an OpenAI TensorFlow checkpoint"],
  [/\.gguf$/, "a folder with GGUF files"],
  [/\.pt$/, "a folder with PyTorch checkpoints (.pt)"],
  [/\.(safetensors|bin)$/, "a folder of model files; give the path of one of them"],
  [/^config\.json$/, "a folder with config.json and no weights"],
];

/** What a folder without safetensors weights holds, by its file names. */
function describeFolder(names: ReadonlySet<string>): string {
  for (const [pattern, description] of FOLDERS) if ([...names].some((name) => pattern.test(name))) return description;
  return names.size === 0 ? "an empty folder" : "a folder without model files";
}
