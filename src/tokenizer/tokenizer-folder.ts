import { checkMerges, isObject, parseGpt2Files, parseObject } from "./gpt2-files.js";
import { applyTokenizerConfig, type NamedText, type TokenizerConfigFiles } from "./tokenizer-config.js";
import { parseTokenizerJson } from "./tokenizer-json.js";
import type { Vocabulary } from "./vocabulary.js";
import { vocabularyFromTexts } from "./vocabulary-from-texts.js";

/** The files of a vocabulary, in the order of preference: Hugging Face's, then OpenAI's. */
export const VOCABULARY_FILES: readonly (readonly [vocab: string, merges?: string])[] = [
  ["tokenizer.json"],
  ["vocab.json", "merges.txt"],
  ["encoder.json", "vocab.bpe"],
];

/** Reads a file of the folder; undefined if it does not exist. */
export type ReadText = (name: string) => Promise<NamedText | undefined>;

/**
 * Reads the tokenizer of a folder like transformers' AutoTokenizer: a vocabulary, completed from the files beside it.
 *
 * @param kinds the files from which to take the vocabulary.
 * @returns undefined if they do not exist.
 * @throws {TokenizerError} a file is malformed or holds another kind of tokenizer.
 */
export async function readTokenizerFolder(read: ReadText, kinds = VOCABULARY_FILES): Promise<Vocabulary | undefined> {
  for (const [vocabName, mergesName] of kinds) {
    const vocab = await read(vocabName);
    if (vocab && mergesName === undefined) {
      const texts = parseTokenizerJson(vocab.text, vocab.name);
      return vocabularyFromTexts(applyTokenizerConfig(texts, await readConfigs(read, true), true));
    }
    const merges = vocab && mergesName !== undefined ? await read(mergesName) : undefined;
    if (vocab && merges) return readPair(read, vocab, merges);
  }
  return undefined;
}

async function readPair(read: ReadText, vocab: NamedText, merges: NamedText): Promise<Vocabulary> {
  const added = await read("added_tokens.json");
  const texts = parseGpt2Files({
    vocab: vocab.text,
    vocabName: vocab.name,
    merges: merges.text,
    mergesName: merges.name,
    ...(added && { added: added.text, addedName: added.name }),
  });
  const vocabulary = vocabularyFromTexts(applyTokenizerConfig(texts, await readConfigs(read, false), false));
  return checkMerges(vocabulary, merges.name);
}

/** Reads only the files that matter: in a browser each is a request. */
async function readConfigs(read: ReadText, isJson: boolean): Promise<TokenizerConfigFiles> {
  const config = await read("tokenizer_config.json");
  const settings = config ? parseObject(config.text, config.name) : {};
  return {
    config,
    specialTokensMap: isObject(settings.added_tokens_decoder) ? undefined : await read("special_tokens_map.json"),
    modelConfig: isJson && settings.tokenizer_class === undefined ? await read("config.json") : undefined,
  };
}
