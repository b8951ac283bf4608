import type { ChosenBackend } from "../backend/choose.js";
import { readJsonSource } from "../checkpoint/strict-json.js";
import { ByteLevelEncoder } from "../tokenizer/byte-level-encoder.js";
import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import { tokenizerOfText } from "../tokenizer/text-tokenizer.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import { readWordPieceFolder } from "../tokenizer/wordpiece/read.js";
import { WordPieceTokenizer } from "../tokenizer/wordpiece/tokenizer.js";
import { checkOptionNames } from "../util/nearest.js";
import { type FetchModelOptions, fetchCheckpoint } from "./fetch.js";
import type { BertParts } from "./load-bert.js";
import type { ModelFiles } from "./model-files.js";
import { checkCompute, encoderConfig, loadParts, onBackend } from "./model-parts.js";
import { readSentenceModules } from "./sentence-modules.js";

export interface FetchBertOptions extends Omit<FetchModelOptions, "tokenizer" | "kv"> {
  /** Replaces the tokenizer beside the model. */
  readonly tokenizer?: EncoderTokenizer | undefined;
}

/** Files beside the weights that a BERT uses. */
const SMALL = new Set([
  "tokenizer.json",
  "vocab.txt",
  "tokenizer_config.json",
  "modules.json",
  "1_Pooling/config.json",
  "sentence_bert_config.json",
]);

/** The parts of the model that {@link BERT.fetch} loads. */
export async function fetchBertParts(name: string, options: FetchBertOptions = {}): Promise<BertParts> {
  checkOptionNames("fetching a model", options, {
    backend: true,
    dtype: true,
    compute: true,
    tokenizer: true,
    endpoint: true,
    token: true,
    signal: true,
    onProgress: true,
  });
  checkCompute(options);
  return onBackend(options.backend, (chosen) => fetchOn(chosen, name, options));
}

async function fetchOn(chosen: ChosenBackend, name: string, options: FetchBertOptions): Promise<BertParts> {
  const { dtype, compute, signal, tokenizer } = options;
  const { checkpoint, files } = await fetchCheckpoint(name, options, SMALL);
  try {
    const config = encoderConfig(checkpoint, "GPT2.fetch fetches it");
    const wordPiece = tokenizer ?? (await checkpoint.loadWordPiece?.()) ?? (await tokenizerIn(files));
    const parts = await loadParts(checkpoint, chosen, async () => undefined, { dtype, compute, signal });
    const sentence = checkpoint.sentence ?? readSentenceModules((file) => bytesOf(files, file));
    return { ...parts, config, wordPiece, sentence };
  } finally {
    checkpoint.close();
  }
}

function bytesOf(files: ModelFiles, name: string): Uint8Array | undefined {
  if (!files.has(name)) return undefined;
  const source = files.open(name);
  return source.bytes(0, source.size);
}

async function tokenizerIn(files: ModelFiles): Promise<EncoderTokenizer | undefined> {
  const textOf = (name: string): string | undefined => {
    const bytes = bytesOf(files, name);
    return bytes && new TextDecoder().decode(bytes);
  };
  const json = textOf("tokenizer.json");
  const made = json !== undefined && isByteLevel(files) ? tokenizerOfText(json, "tokenizer.json") : undefined;
  if (made instanceof Tokenizer) return new ByteLevelEncoder(made);
  const vocabulary = await readWordPieceFolder(async (name) => {
    const text = textOf(name);
    return text === undefined ? undefined : { name, text };
  });
  return vocabulary && new WordPieceTokenizer(vocabulary);
}

function isByteLevel(files: ModelFiles): boolean {
  const { model } = readJsonSource(files.open("tokenizer.json"));
  return (model as { type?: unknown } | undefined)?.type === "BPE";
}
