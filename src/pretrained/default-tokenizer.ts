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

/**
 * The tokenizer for a model: without added tokens that the model has no rows for, and decoding rows that no token has to
 * nothing.
 *
 * @throws {TokenizerError} it has other tokens that the model does not have.
 */
export async function fitTokenizer(model: string, vocabSize: number, tokenizer: Tokenizer): Promise<Tokenizer> {
  const { hasHoles, withoutAddedFrom } = await import("../tokenizer/vocabulary.js");
  const { vocabulary } = tokenizer;
  if (vocabulary.size === vocabSize && !hasHoles(vocabulary)) return tokenizer;
  const fitting = vocabulary.size <= vocabSize ? vocabulary : withoutAddedFrom(vocabulary, vocabSize);
  const { Tokenizer } = await import("../tokenizer/tokenizer.js");
  if (fitting !== undefined) return new Tokenizer(fitting, { modelVocabSize: vocabSize });
  throw new TokenizerError({
    op: `loading ${model}: tokenizer`,
    expected: `at most ${vocabSize} tokens, the model's vocabulary`,
    got: String(tokenizer.vocabSize),
    hint: "The tokenizer belongs to another model",
  });
}
