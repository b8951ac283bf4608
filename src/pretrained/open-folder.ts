import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { openFileSource } from "../checkpoint/file-source.js";
import { CheckpointError } from "../errors.js";
import type { Checkpoint, TokenizerFiles } from "./checkpoint.js";
import { loadHuggingFace, loadLlmc } from "./formats/huggingface.js";
import { readSampling, type StoredSampling } from "./generation-config.js";

const INDEX = /\.index\.json$/;

/**
 * Opens a Hugging Face model by its weights' file, or the index of its shards; config.json and the tokenizer lie beside.
 *
 * @param path what the user gave, for messages.
 */
export function openHuggingFace(weights: string, path: string): Checkpoint {
  const folder = dirname(weights);
  const config = join(folder, "config.json");
  if (!existsSync(config)) {
    const hint = "It gives the model's sizes, and belongs in the same folder as the weights";
    throw new CheckpointError({ op: `opening ${path}`, expected: `${config}`, got: "no such file", hint });
  }
  const tokenizerFiles = findTokenizerFiles(folder);
  const sampling = samplingIn(folder);
  const source = openFileSource(config);
  try {
    const model = loadHuggingFace({
      path,
      config: source,
      weights: openFileSource(weights),
      ...(INDEX.test(basename(weights)) && { openShard: (file: string) => openFileSource(join(folder, file)) }),
      ...(tokenizerFiles && { tokenizerFiles }),
    });
    return { ...model, ...sampling };
  } catch (error) {
    source.close();
    throw error;
  }
}

function samplingIn(folder: string): { readonly sampling?: StoredSampling } {
  const file = join(folder, "generation_config.json");
  return existsSync(file) ? readSampling(openFileSource(file)) : {};
}

/**
 * Opens what torch.save wrote by its file, or the index of its shards; config.json, if it needs one, and the tokenizer lie
 * beside.
 *
 * @param path what the user gave, for messages.
 */
export async function openTorch(weights: string, path: string): Promise<Checkpoint> {
  const { loadTorch } = await import("./formats/torch.js");
  const folder = dirname(weights);
  const config = join(folder, "config.json");
  const sampling = samplingIn(folder);
  const source = openFileSource(weights);
  try {
    const model = loadTorch({
      path,
      weights: source,
      ...(INDEX.test(basename(weights)) && { openShard: (file: string) => openFileSource(join(folder, file)) }),
      config: existsSync(config) ? openFileSource(config) : undefined,
      tokenizerFiles: findTokenizerFiles(folder),
    });
    return { ...model, ...sampling };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Opens a llm.c model; a tokenizer may lie beside it. */
export function openLlmc(file: string): Checkpoint {
  const names = { tokenizerJson: "tokenizer.json", llmcBin: "gpt2_tokenizer.bin" };
  const tokenizerFiles = findTokenizerFiles(dirname(file), names);
  return { ...loadLlmc(openFileSource(file)), ...(tokenizerFiles && { tokenizerFiles }) };
}

const TOKENIZER_NAMES = { vocabJson: "vocab.json", mergesTxt: "merges.txt", tokenizerJson: "tokenizer.json" } as const;

export function findTokenizerFiles(
  folder: string,
  names: { readonly [K in keyof TokenizerFiles]: string } = TOKENIZER_NAMES,
): TokenizerFiles | undefined {
  const files: { -readonly [K in keyof TokenizerFiles]: TokenizerFiles[K] } = {};
  for (const [key, name] of Object.entries(names)) {
    const path = join(folder, name);
    if (existsSync(path)) files[key as keyof TokenizerFiles] = path;
  }
  return Object.keys(files).length > 0 ? files : undefined;
}
