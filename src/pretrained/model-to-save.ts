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
   * Every tensor of `tensorTable(config)` once, in any order, in memory or still in another file; each is written before
   * the next is taken.
   */
  readonly tensors: Iterable<TensorSource> | AsyncIterable<TensorSource>;
  /** The head of a classifier or regressor, with `score.weight` among the tensors. Hugging Face only. */
  readonly head?: TaskHead | undefined;
  /** Written into the file (GGUF) or beside the weights. */
  readonly tokenizer?: Tokenizer | undefined;
  /** The same for a BERT. */
  readonly wordPiece?: EncoderTokenizer | undefined;
  /** How vectors of texts are made: files of sentence-transformers beside the weights, or a key of GGUF. */
  readonly sentence?: SentenceModules | undefined;
  /** Hugging Face: the tokenizer's original files, copied in place of generated ones. */
  readonly tokenizerFiles?: readonly string[] | undefined;
  /** Tokens that end a text, none if empty; the tokenizer's if not given. */
  readonly eosTokenIds?: readonly number[] | undefined;
  /** The token that starts a text; without `eosTokenIds` too the tokenizer's, else none. */
  readonly bosTokenId?: number | undefined;
  /** Hugging Face: sampling settings for generation_config.json. */
  readonly sampling?: StoredSampling | undefined;
  /** Texts about the model: in the weights' file (Hugging Face), or `general.` name, author, … (GGUF). */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** The formats that can be written. */
export type SaveFormat = Extract<FormatName, "huggingface" | "llm.c" | "gguf">;

export interface SaveOptions {
  /** By the target's name if not given: `.gguf`, `.bin` (llm.c), else a Hugging Face folder. */
  readonly format?: SaveFormat | undefined;
  /** f32 by default. Vectors stay in f32 in GGUF; other formats hold everything in one type. */
  readonly dtype?: WeightType | undefined;
  /** Hugging Face: start another file where one would hold more than this. One file by default. */
  readonly maxShardBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with how many of how many bytes of the weights are written. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** The tokens that start and end a model's texts: its own, else its tokenizer's. */
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
