import type { MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import type { GgufMetadata } from "../../../checkpoint/gguf/metadata.js";
import { TokenizerError } from "../../../errors.js";
import type { EncoderTokenizer } from "../../../tokenizer/encoder-tokenizer.js";
import { WordPieceTokenizer } from "../../../tokenizer/wordpiece/tokenizer.js";
import { BERT_TOKENS, bertNormalizer, bertVocabulary } from "../../../tokenizer/wordpiece/vocabulary.js";
import { BOS, EOS, MODEL } from "./tokenizer-keys.js";

/**
 * WordPiece in a file's metadata (llama.cpp's src/llama-vocab.cpp, LLAMA_VOCAB_TYPE_WPM): tokens that begin a word have a
 * leading U+2581, those that continue one lack `##`. Two keys say whether texts are lower-cased and lose their accents; older
 * files lack them, and older llama.cpp always does both.
 */

export const WORD_PIECE = "bert";
const TOKENS = "tokenizer.ggml.tokens";
const TYPES = "tokenizer.ggml.token_type";
const PRE = "tokenizer.ggml.pre";
const LOWERCASE = "tokenizer.ggml.normalizer.lowercase";
const STRIP_ACCENTS = "tokenizer.ggml.normalizer.strip_accents";
const BEGIN = "\u2581";
const PREFIX = "##";
const NORMAL = 1;
const CONTROL = 3;
const UNUSED = 5;

/** Keys of the special tokens. llama.cpp spells one of them in its own way. */
const IDS = {
  unknown: "tokenizer.ggml.unknown_token_id",
  sep: "tokenizer.ggml.seperator_token_id",
  pad: "tokenizer.ggml.padding_token_id",
  cls: "tokenizer.ggml.cls_token_id",
  mask: "tokenizer.ggml.mask_token_id",
} as const;

/** @throws {CheckpointError | TokenizerError} tokens are missing, or a special one is. */
export function wordPieceFromGguf(metadata: GgufMetadata, file: string): WordPieceTokenizer {
  const texts = metadata.strings(TOKENS);
  if (texts === undefined) throw metadata.error(TOKENS, "an array of strings");
  const types = metadata.numbers(TYPES) ?? [];
  const tokens = texts.map((text, id) => {
    if (types[id] === UNUSED) return undefined;
    if (types[id] === CONTROL || isBracketed(text)) return text;
    return text.startsWith(BEGIN) ? text.slice(BEGIN.length) : PREFIX + text;
  });
  const named = Object.entries(IDS).map(([use, key]) => {
    const id = metadata.number(key) ?? tokens.indexOf(BERT_TOKENS[use as keyof typeof IDS]);
    return [use, tokens[id] ?? BERT_TOKENS[use as keyof typeof IDS]];
  });
  const names = Object.fromEntries(named) as Record<keyof typeof BERT_TOKENS, string>;
  const lowercase = metadata.boolean(LOWERCASE) ?? true;
  const normalizer = bertNormalizer(lowercase, metadata.boolean(STRIP_ACCENTS) ?? lowercase, true);
  return new WordPieceTokenizer(bertVocabulary(tokens, normalizer, names, `reading ${file}`));
}

/** Older files do not mark special tokens as special. */
const isBracketed = (text: string): boolean => /^\[(PAD|UNK|CLS|SEP|MASK|unused\d+)\]$/.test(text);

/** @throws {TokenizerError} the tokenizer is no WordPiece. */
export function wordPieceToGguf(tokenizer: EncoderTokenizer, vocabSize: number): MetadataEntry[] {
  if (!(tokenizer instanceof WordPieceTokenizer)) {
    const op = "writing GGUF: the tokenizer";
    throw new TokenizerError({ op, expected: "WordPiece, as llama.cpp's BERT has", got: "byte-level BPE" });
  }
  const { vocabulary } = tokenizer;
  const { tokens, added, normalizer, unknown } = vocabulary;
  const special = new Set(added.filter((token) => token.special).map(({ id }) => id));
  const types = new Int32Array(vocabSize);
  const texts = Array.from({ length: vocabSize }, (_, id) => {
    const token = tokens[id];
    types[id] = token === undefined ? UNUSED : special.has(id) ? CONTROL : NORMAL;
    if (token === undefined) return `[PAD${id}]`;
    if (special.has(id)) return token;
    return token.startsWith(PREFIX) ? token.slice(PREFIX.length) : BEGIN + token;
  });
  const idOf = (text: string): number => tokens.indexOf(text);
  const ids = Object.entries(IDS).flatMap(([use, key]): MetadataEntry[] => {
    const id = use === "unknown" ? unknown : idOf(BERT_TOKENS[use as keyof typeof IDS]);
    return id < 0 ? [] : [[key, "u32", id]];
  });
  return [
    [MODEL, "string", WORD_PIECE],
    [PRE, "string", "default"],
    [TOKENS, "string[]", texts],
    [TYPES, "i32[]", types],
    [LOWERCASE, "bool", normalizer.lowercase],
    [STRIP_ACCENTS, "bool", normalizer.stripAccents],
    [BOS, "u32", idOf(BERT_TOKENS.cls)],
    [EOS, "u32", idOf(BERT_TOKENS.sep)],
    ...ids,
  ];
}
