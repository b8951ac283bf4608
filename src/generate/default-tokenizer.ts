import { TokenizerError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** GPT-2's vocabulary; some checkpoints pad it, up to the next multiple of 128. */
const GPT2_VOCABULARY = 50257;
const GPT2_VOCABULARY_PADDED = 50304;

/** For a model that comes without one: GPT-2's, if it has as many tokens as the model. */
export async function defaultTokenizer({ vocabSize }: { readonly vocabSize: number }): Promise<Tokenizer | undefined> {
  if (vocabSize < GPT2_VOCABULARY || vocabSize > GPT2_VOCABULARY_PADDED) return undefined;
  return (await import("../tokenizer/gpt2.js")).gpt2Tokenizer();
}

/** @throws {TokenizerError} a tokenizer of more tokens than the model has. */
export function checkVocabulary(model: string, vocabSize: number, tokenizer: Tokenizer): void {
  if (tokenizer.vocabSize <= vocabSize) return;
  throw new TokenizerError({
    op: `loading ${model}: tokenizer`,
    expected: `at most ${vocabSize} tokens, the model's vocabulary`,
    got: String(tokenizer.vocabSize),
    hint: "The tokenizer belongs to another model",
  });
}
