import { TokenizerError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Checkpoint } from "./checkpoint.js";

type WithVocabulary = Pick<Checkpoint, "path" | "config">;

/**
 * The tokenizer from the weights' file or beside it, else GPT-2's if it has as many tokens as the model, else none.
 *
 * @throws {TokenizerError} it is malformed or of another kind, or has tokens that the model lacks.
 */
export async function tokenizerOf(checkpoint: Checkpoint): Promise<Tokenizer | undefined> {
  const own = (await checkpoint.loadTokenizer?.()) ?? (await tokenizerBeside(checkpoint));
  return own && fitTokenizer(checkpoint, own);
}

async function tokenizerBeside({ config, tokenizerFiles = {} }: Checkpoint): Promise<Tokenizer | undefined> {
  const { tokenizerJson, vocabJson, mergesTxt, llmcBin } = tokenizerFiles;
  const file = tokenizerJson ?? (mergesTxt === undefined ? undefined : vocabJson) ?? llmcBin;
  if (file === undefined) return defaultTokenizer(config);
  return (await import("#node/tokenizer/files.js")).loadTokenizer(file);
}

/** The size of GPT-2's vocabulary. Some checkpoints pad it up to the next multiple of 128. */
const GPT2_VOCABULARY = 50257;
const GPT2_VOCABULARY_PADDED = 50304;

/** For a model without a tokenizer: GPT-2's, if it has as many tokens as the model. */
export async function defaultTokenizer({ vocabSize }: { readonly vocabSize: number }): Promise<Tokenizer | undefined> {
  if (vocabSize < GPT2_VOCABULARY || vocabSize > GPT2_VOCABULARY_PADDED) return undefined;
  return (await import("../tokenizer/gpt2.js")).gpt2Tokenizer();
}

/**
 * Fits a tokenizer to a model: removes added tokens that the model has no rows for, and decodes rows without a token to nothing.
 *
 * @throws {TokenizerError} it has other tokens that the model lacks.
 */
export async function fitTokenizer({ path, config }: WithVocabulary, tokenizer: Tokenizer): Promise<Tokenizer> {
  const { vocabSize } = config;
  const { hasHoles, withoutAddedFrom } = await import("../tokenizer/vocabulary.js");
  const { vocabulary } = tokenizer;
  if (vocabulary.size === vocabSize && !hasHoles(vocabulary)) return tokenizer;
  const fitting = vocabulary.size <= vocabSize ? vocabulary : withoutAddedFrom(vocabulary, vocabSize);
  const { Tokenizer } = await import("../tokenizer/tokenizer.js");
  if (fitting !== undefined) return new Tokenizer(fitting, { modelVocabSize: vocabSize });
  throw new TokenizerError({
    op: `loading ${path}: tokenizer`,
    expected: `at most ${vocabSize} tokens, the model's vocabulary`,
    got: String(tokenizer.vocabSize),
    hint: "The tokenizer belongs to another model",
  });
}
