import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { BertConfig } from "../architectures/bert/config.js";
import { type BackendOptions, type ChosenBackend, chooseBackend } from "../backend/choose.js";
import { isJsonObject, parsePythonJson } from "../checkpoint/strict-json.js";
import { checkWeightType } from "../dtype/dtype.js";
import { TokenizerError } from "../errors.js";
import { ByteLevelEncoder } from "../tokenizer/byte-level-encoder.js";
import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import { loadWordPiece } from "../tokenizer/wordpiece/files.js";
import { isFolder } from "../util/is-folder.js";
import { checkOptionNames } from "../util/nearest.js";
import type { Checkpoint } from "./checkpoint.js";
import { openWithAdapter } from "./load.js";
import { LOCATE_OPTIONS, type LocateOptions } from "./locate-options.js";
import {
  checkCompute,
  encoderConfig,
  loadParts,
  type ModelParts,
  type PartsOptions,
  withOwnBackend,
} from "./model-parts.js";
import { readSentenceModules, type SentenceModules } from "./sentence-modules.js";

export interface LoadBertOptions extends BackendOptions, Omit<LocateOptions, "checkConfig">, Omit<PartsOptions, "kv"> {
  /** Replaces the tokenizer beside the model. */
  readonly tokenizer?: EncoderTokenizer | undefined;
  /** A LoRA adapter to fold into the weights: its folder, or its name on the hub. */
  readonly merge?: string | undefined;
}

/** The parts of a {@link BERT}. */
export interface BertParts extends Omit<ModelParts, "config" | "tokenizer"> {
  readonly config: BertConfig;
  /** Without one, the model takes token ids only. */
  readonly wordPiece?: EncoderTokenizer | undefined;
  /** How to make embeddings, if the model's files define it. */
  readonly sentence?: SentenceModules | undefined;
}

/** Loads the parts of a model for {@link BERT.load}. */
export async function loadBertModel(name: string, options: LoadBertOptions = {}): Promise<BertParts> {
  checkOptionNames("loading a model", options, {
    ...LOCATE_OPTIONS,
    backend: true,
    threads: true,
    isa: true,
    onFallback: true,
    tokenizer: true,
    merge: true,
    dtype: true,
    compute: true,
  });
  checkCompute(options);
  if (options.dtype !== undefined) checkWeightType(options.dtype);
  const { backend, threads, isa, onFallback } = options;
  const chosen = await chooseBackend({ backend, threads, isa, onFallback });
  return withOwnBackend(chosen, (ready) => loadOn(ready, name, options));
}

async function loadOn(chosen: ChosenBackend, name: string, options: LoadBertOptions): Promise<BertParts> {
  const { signal, dtype, compute, tokenizer } = options;
  signal?.throwIfAborted();
  const checkpoint = await openWithAdapter(name, options, chosen.backend);
  try {
    const config = encoderConfig(checkpoint, "GPT2.load loads it");
    const [parts, wordPiece] = await Promise.all([
      loadParts(checkpoint, chosen, async () => undefined, { dtype, compute, signal }),
      wordPieceOf(checkpoint, tokenizer),
    ]);
    return { ...parts, config, wordPiece, sentence: sentenceModulesOf(checkpoint) };
  } finally {
    checkpoint.close();
  }
}

function folderOf({ path, basePath = path }: Checkpoint): string {
  return isFolder(basePath) ? basePath : dirname(basePath);
}

/**
 * The tokenizer of a BERT, from its file or beside it.
 *
 * @param given replaces it
 * @throws {TokenizerError} it is malformed, or has more tokens than the model.
 */
export async function wordPieceOf(
  checkpoint: Checkpoint,
  given?: EncoderTokenizer,
): Promise<EncoderTokenizer | undefined> {
  const tokenizer = given ?? (await checkpoint.loadWordPiece?.()) ?? (await tokenizerBeside(folderOf(checkpoint)));
  const { vocabSize } = checkpoint.config;
  if (tokenizer === undefined || tokenizer.vocabSize <= vocabSize) return tokenizer;
  throw new TokenizerError({
    op: `loading ${checkpoint.path}: tokenizer`,
    expected: `at most ${vocabSize} tokens, the model's vocabulary`,
    got: String(tokenizer.vocabSize),
    hint: "The tokenizer belongs to another model",
  });
}

async function tokenizerBeside(folder: string): Promise<EncoderTokenizer | undefined> {
  const json = join(folder, "tokenizer.json");
  if (existsSync(json) && isByteLevel(json)) {
    const { loadTokenizer } = await import("../tokenizer/files.js");
    return new ByteLevelEncoder(await loadTokenizer(json));
  }
  return existsSync(json) || existsSync(join(folder, "vocab.txt")) ? loadWordPiece(folder) : undefined;
}

function isByteLevel(path: string): boolean {
  const { model } = parsePythonJson(readFileSync(path), `reading ${path}`);
  return isJsonObject(model) && model.type === "BPE";
}

/** How to make embeddings, from the model's file or those beside it. @throws {ConfigError} the way is unknown. */
export function sentenceModulesOf(checkpoint: Checkpoint): SentenceModules | undefined {
  if (checkpoint.sentence) return checkpoint.sentence;
  const folder = folderOf(checkpoint);
  return readSentenceModules((path) => (existsSync(join(folder, path)) ? readFileSync(join(folder, path)) : undefined));
}
