import type { GgufMetadata } from "../../../checkpoint/gguf/metadata.js";

/** Tokenizer settings that are read before the tokenizer is made, which happens while the weights load. */

export const MODEL = "tokenizer.ggml.model";
export const BOS = "tokenizer.ggml.bos_token_id";
export const EOS = "tokenizer.ggml.eos_token_id";
/** Tokens that end a turn or a message; llama.cpp also ends a text there. */
export const MORE_EOS = ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

/** Names of models that come without a tokenizer. */
export const NO_TOKENIZER = ["none", "no_vocab"];

export function hasTokenizer(metadata: GgufMetadata): boolean {
  return !NO_TOKENIZER.includes(metadata.string(MODEL) ?? NO_TOKENIZER[0]!);
}

/** Ids of the tokens that start and end a text, if they are in the vocabulary. */
export function specialIdsFromGguf(
  metadata: GgufMetadata,
  vocabSize: number,
): { readonly eosTokenIds: readonly number[]; readonly bosTokenId?: number } {
  const idOf = (key: string): number[] => {
    const id = metadata.number(key);
    return id !== undefined && Number.isInteger(id) && id >= 0 && id < vocabSize ? [id] : [];
  };
  const [bosTokenId] = idOf(BOS);
  return { eosTokenIds: [EOS, ...MORE_EOS].flatMap(idOf), ...(bosTokenId !== undefined && { bosTokenId }) };
}
