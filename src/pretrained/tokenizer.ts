import { TokenizerError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Checkpoint } from "./checkpoint.js";

type WithVocabulary = Pick<Checkpoint, "path" | "config">;

/**
 * The tokenizer in the weights' file or beside it, else GPT-2's if it has as many tokens as the model, else none.
 *
 * @throws {TokenizerError} it is malformed, of another kind, or has tokens that the model does not have.
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
