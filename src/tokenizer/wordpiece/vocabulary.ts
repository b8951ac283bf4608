import { TokenizerError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import type { AddedToken } from "../vocabulary.js";
import type { NormalizerOptions } from "./normalize.js";

/** A WordPiece vocabulary, and the settings by which texts are prepared. Plain data. */
export interface WordPieceVocabulary {
  /** Tokens by id; undefined where no token has the id. */
  readonly tokens: readonly (string | undefined)[];
  /** Id of the token for words that can't be made from pieces. */
  readonly unknown: number;
  /** The prefix of a piece that continues a word. */
  readonly prefix: string;
  /** Maximum length of a word, in characters; longer words are unknown. */
  readonly maxWordChars: number;
  readonly normalizer: NormalizerOptions;
  /** Tokens that are found in a text by their own text. */
  readonly added: readonly AddedToken[];
  readonly template: Template;
}

/** A piece of a template: the id of a special token, or a text (0 the first, 1 the second), with its token type. */
export type TemplatePiece = { readonly type: number } & ({ readonly id: number } | { readonly text: 0 | 1 });

/** The templates for a text, and for a pair. */
export interface Template {
  readonly single: readonly TemplatePiece[];
  readonly pair: readonly TemplatePiece[];
}

/** BERT's templates: `[CLS] A [SEP]`, and `[CLS] A [SEP] B [SEP]` with type 1 for the second text and its end. */
export function bertTemplate(cls: number, sep: number): Template {
  const single: TemplatePiece[] = [
    { id: cls, type: 0 },
    { text: 0, type: 0 },
    { id: sep, type: 0 },
  ];
  return { single, pair: [...single, { text: 1, type: 1 }, { id: sep, type: 1 }] };
}

/** BERT's normalizer, with lower-casing or without. */
export function bertNormalizer(lowercase = true, stripAccents = lowercase, chineseChars = true): NormalizerOptions {
  return { cleanText: true, chineseChars, stripAccents, lowercase };
}

/** BERT's special tokens, by their use. */
export const BERT_TOKENS = { unknown: "[UNK]", sep: "[SEP]", pad: "[PAD]", cls: "[CLS]", mask: "[MASK]" } as const;

/**
 * A vocabulary of BERT's kind.
 *
 * @param special texts of the special tokens by their use, BERT's by default; those in the vocabulary become added tokens.
 * @throws {TokenizerError} the unknown token, or one of the template, is missing.
 */
export function bertVocabulary(
  tokens: readonly (string | undefined)[],
  normalizer = bertNormalizer(),
  special: Readonly<Record<keyof typeof BERT_TOKENS, string>> = BERT_TOKENS,
  op = "making a WordPiece vocabulary",
): WordPieceVocabulary {
  const idOf = (text: string): number => {
    const id = tokens.indexOf(text);
    if (id >= 0) return id;
    throw new TokenizerError({ op, expected: `a token ${quote(text)}`, got: `${tokens.length} tokens without it` });
  };
  const added = Object.values(special)
    .filter((text) => tokens.includes(text))
    .map((text) => ({ id: tokens.indexOf(text), text, special: true }))
    .sort((a, b) => a.id - b.id);
  return {
    tokens,
    unknown: idOf(special.unknown),
    prefix: "##",
    maxWordChars: 100,
    normalizer,
    added,
    template: bertTemplate(idOf(special.cls), idOf(special.sep)),
  };
}
