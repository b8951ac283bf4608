import { TokenizerError } from "../errors.js";
import type { AddedToken, Vocabulary } from "./vocabulary.js";

/** The special tokens of a BERT, in the order of their ids where a vocabulary gets them. */
export const ENCODER_TOKENS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"] as const;
export type EncoderToken = (typeof ENCODER_TOKENS)[number];

const isThere = (added: readonly AddedToken[], text: string): boolean => added.some((token) => token.text === text);

/** Tokens that a BERT's vocabulary needs and this one lacks. */
export const missingEncoderTokens = ({ added }: Vocabulary): number =>
  ENCODER_TOKENS.filter((text) => !isThere(added, text)).length;

/**
 * A byte-level BPE vocabulary for a BERT: its special tokens, those that are missing after all others, and `[CLS]` and `[SEP]`
 * around each text. RoBERTa's is one of this kind, with other names.
 */
export function withEncoderTokens(vocabulary: Vocabulary): Vocabulary {
  const { bytes, offsets, size } = vocabulary;
  const missing = ENCODER_TOKENS.filter((text) => !isThere(vocabulary.added, text));
  const utf8 = missing.map((text) => new TextEncoder().encode(text));
  const more = utf8.reduce((n, { length }) => n + length, 0);
  const all = new Uint8Array(bytes.length + more);
  all.set(bytes);
  const ends = new Uint32Array(size + missing.length + 1);
  ends.set(offsets);
  for (const [i, text] of utf8.entries()) {
    all.set(text, ends[size + i]!);
    ends[size + i + 1] = ends[size + i]! + text.length;
  }
  const added = [...vocabulary.added, ...missing.map((text, i) => addedToken(text, size + i))];
  const whole = { ...vocabulary, bytes: all, offsets: ends, size: size + missing.length, added };
  const id = (text: EncoderToken): number => encoderTokenId(whole, text);
  return { ...whole, template: { before: [id("[CLS]")], after: [id("[SEP]")] } };
}

/** The mask takes the space before it, as RoBERTa's does: in training it stands for tokens that begin with theirs. */
const addedToken = (text: EncoderToken, id: number): AddedToken => {
  return { id, text, special: true, ...(text === "[MASK]" && { lstrip: true }) };
};

/** @throws {TokenizerError} the vocabulary has no such token. */
export function encoderTokenId({ added }: Pick<Vocabulary, "added">, text: EncoderToken): number {
  const token = added.find((one) => one.text === text);
  if (token) return token.id;
  throw new TokenizerError({ op: "a BERT's vocabulary", expected: `a token ${text}`, got: "none" });
}
