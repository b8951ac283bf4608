import type { ModelConfig } from "../architectures/config.js";
import type { TaskHead } from "../architectures/task-head.js";
import type { TensorSource } from "../checkpoint/encode-tensor.js";
import type { WeightType } from "../dtype/dtype.js";
import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { FormatName } from "./formats.js";
import type { StoredSampling } from "./generation-config.js";
import type { SentenceModules } from "./sentence-modules.js";

export interface ModelToSave {
  readonly config: ModelConfig;
  /**
   * Every tensor of `tensorTable(config)` once, in any order, in memory or in another file. Each one is written before the next
   * is requested.
   */
  readonly tensors: Iterable<TensorSource> | AsyncIterable<TensorSource>;
  /** The head of a classifier or regressor, with `score.weight` among the tensors. Hugging Face only. */
  readonly head?: TaskHead | undefined;
  /** Written into the file (GGUF) or beside the weights. */
  readonly tokenizer?: Tokenizer | undefined;
  /** The same for a BERT. */
  readonly wordPiece?: EncoderTokenizer | undefined;
  /** How to make embeddings: files of sentence-transformers beside the weights, or a key of GGUF. */
  readonly sentence?: SentenceModules | undefined;
  /** Hugging Face: the tokenizer's original files, copied instead of generated ones. */
  readonly tokenizerFiles?: readonly string[] | undefined;
  /** Tokens that end a text, none if empty. Default: the tokenizer's. */
  readonly eosTokenIds?: readonly number[] | undefined;
  /** The token that starts a text. Default: the tokenizer's if `eosTokenIds` is not given either, else none. */
  readonly bosTokenId?: number | undefined;
  /** Hugging Face: sampling settings for generation_config.json. */
  readonly sampling?: StoredSampling | undefined;
  /** Texts about the model: in the weights' file (Hugging Face), or `general.` name, author, … (GGUF). */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** The formats that can be written. */
export type SaveFormat = Extract<FormatName, "huggingface" | "llm.c" | "gguf">;

export interface SaveOptions {
  /** Default: by the target's name, `.gguf`, `.bin` (llm.c), else a Hugging Face folder. */
  readonly format?: SaveFormat | undefined;
  /** Default f32. GGUF keeps vectors in f32; other formats have one dtype for everything. */
  readonly dtype?: WeightType | undefined;
  /** Hugging Face: most bytes of tensors in a file. Default: one file. */
  readonly maxShardBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes of weights written so far, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** The tokens that start and end texts: the model's, else its tokenizer's. */
export function specialTokensOf({
  bosTokenId,
  eosTokenIds,
  tokenizer,
}: Pick<ModelToSave, "bosTokenId" | "eosTokenIds" | "tokenizer">): {
  readonly bosTokenId: number | undefined;
  readonly eosTokenIds: readonly number[];
} {
  if (eosTokenIds !== undefined) return { bosTokenId, eosTokenIds };
  const { startOfText, endOfText } = tokenizer ?? {};
  return { bosTokenId: bosTokenId ?? startOfText, eosTokenIds: endOfText === undefined ? [] : [endOfText] };
}
