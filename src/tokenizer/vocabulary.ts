import { TokenizerError } from "../errors.js";
import { BYTES_BY_ID } from "./byte-alphabet.js";

/** A byte-level BPE vocabulary: the bytes of every id and the pairs that merge, in flat arrays. Plain data. */
export interface Vocabulary {
  /** Ids are 0 to size - 1. */
  readonly size: number;
  /** Bytes of all tokens, one after another in id order. */
  readonly bytes: Uint8Array;
  /** [size + 1] token `id` is `bytes[offsets[id], offsets[id + 1])`; empty if no token has this id. */
  readonly offsets: Uint32Array;
  /** [256] id of each single byte, or {@link NO_ID}. */
  readonly byteIds: Uint32Array;
  /** [2 × merges] ids left, right of each merge; a merge's index is its rank, lowest first. */
  readonly merges: Uint32Array;
  /** [merges] the id that each merge makes. */
  readonly results: Uint32Array;
  /** Tokens that are found in a text by their own text, before the rest is split into words. */
  readonly added: readonly AddedToken[];
  /** The token for bytes without a token; if undefined they are dropped. `fused`: one token for several such bytes in a row. */
  readonly unknown?: { readonly id: number; readonly fused: boolean };
  /** Whether each stretch of text between added tokens gets a space in front, unless it begins with one. */
  readonly addPrefixSpace?: boolean;
  /** Ids added before and after a text. */
  readonly template?: { readonly before: readonly number[]; readonly after: readonly number[] };
  /** Id of the token that starts a text, if it is not the one that ends it. */
  readonly startOfText?: number;
  /** Id of the token that ends a text, if it is not `<|endoftext|>`. */
  readonly endOfText?: number;
}

/** A token besides those that merges make, as defined by Hugging Face `tokenizers`. */
export interface AddedToken {
  readonly id: number;
  readonly text: string;
  /** Special tokens are found only where the caller allows them, others in every text. */
  readonly special: boolean;
  /** Found only where no word character is next to it. */
  readonly singleWord?: boolean;
  /** Absorbs the white space on its left. */
  readonly lstrip?: boolean;
  /** Absorbs the white space on its right. */
  readonly rstrip?: boolean;
  /** Searched for after the tokens that are not normalized: GPT-2 has no normalizer, so only the order differs. */
  readonly normalized?: boolean;
}

/** Maximum number of bits of an id, so that an entry of the merge table has 64. */
export const ID_BITS = 20;
/** Vocabularies hold fewer ids than this. */
export const MOST_IDS = 2 ** ID_BITS - 1;
/** Stands for no id. */
export const NO_ID = MOST_IDS;

/** GPT-2's special token: the end of a document, and the start of one with no prompt. */
export const END_OF_TEXT = "<|endoftext|>";

/** Id of the token that ends a text: the one named in the files, else `<|endoftext|>` or `</s>`, if they are special. */
export function endOfTextOf({ added, endOfText }: Vocabulary): number | undefined {
  const idOf = (end: string): number | undefined => added.find(({ text, special }) => special && text === end)?.id;
  return endOfText ?? idOf(END_OF_TEXT) ?? idOf("</s>");
}

/** Special tokens with consecutive ids from `first` on. */
export function specialTokens(texts: readonly string[], first: number): AddedToken[] {
  return texts.map((text, i) => ({ id: first + i, text, special: true }));
}

/**
 * A vocabulary in GPT-2's own order: ids 0 to 255 are the bytes, merge r makes 256 + r, special tokens follow.
 *
 * @param merges [2 × count] ids left, right.
 * @throws {TokenizerError} a merge joins tokens that do not exist yet.
 */
export function vocabularyFromMerges(merges: Uint32Array, special: readonly string[] = [END_OF_TEXT]): Vocabulary {
  for (let r = 0, id = 256; 2 * r < merges.length; r++, id++) {
    const [a, b] = [merges[2 * r]!, merges[2 * r + 1]!];
    if (a < id && b < id) continue;
    throw new TokenizerError({ op: `merge ${r}`, expected: `ids below ${id}`, got: `${a} and ${b}` });
  }
  return vocabularyOfMerges(merges.length >> 1, () => merges, special);
}

/**
 * The same from merges that are known to be in order. Each part is made when first read, which keeps starts fast.
 *
 * @param count number of merges
 */
export function vocabularyOfMerges(
  count: number,
  merges: () => Uint32Array,
  special: readonly string[] = [END_OF_TEXT],
): Vocabulary {
  const first = 256 + count;
  const vocabulary: Vocabulary = lazily({
    size: () => first + special.length,
    bytes: () => tokenBytes(vocabulary, special),
    offsets: () => tokenOffsets(vocabulary, special),
    byteIds: () => {
      const ids = new Uint32Array(256);
      for (const [id, byte] of BYTES_BY_ID.entries()) ids[byte] = id;
      return ids;
    },
    merges,
    results: () => new Uint32Array(count).map((_, rank) => 256 + rank),
    added: () => specialTokens(special, first),
  });
  return vocabulary;
}

/** An object whose properties are computed when first read. They are own properties, so a worker can receive a copy. */
function lazily<T extends object>(parts: { readonly [K in keyof T]: () => T[K] }): T {
  const object = {};
  for (const [key, make] of Object.entries<() => unknown>(parts)) {
    const get = (): unknown => {
      const value = make();
      Object.defineProperty(object, key, { value });
      return value;
    };
    Object.defineProperty(object, key, { get, enumerable: true, configurable: true });
  }
  return object as T;
}

const encoded = (texts: readonly string[]): Uint8Array[] => texts.map((text) => new TextEncoder().encode(text));

function tokenOffsets({ size, merges }: Vocabulary, special: readonly string[]): Uint32Array {
  const offsets = new Uint32Array(size + 1);
  for (let id = 0; id < 256; id++) offsets[id + 1] = id + 1;
  fillOffsets(offsets, merges);
  let id = size - special.length;
  for (const text of encoded(special)) offsets[++id] = offsets[id - 1]! + text.length;
  return offsets;
}

function tokenBytes({ size, merges, offsets }: Vocabulary, special: readonly string[]): Uint8Array {
  const bytes = new Uint8Array(offsets[size]!);
  bytes.set(BYTES_BY_ID);
  fillBytes(bytes, offsets, merges);
  let id = size - special.length;
  for (const text of encoded(special)) bytes.set(text, offsets[id++]);
  return bytes;
}

/** Fills in where the bytes of merged tokens start. A separate function, like the next, so that V8 optimizes it while it runs. */
function fillOffsets(offsets: Uint32Array, merges: Uint32Array): void {
  for (let r = 0, id = 256; 2 * r < merges.length; r++, id++) {
    const a = merges[2 * r]!;
    const b = merges[2 * r + 1]!;
    offsets[id + 1] = offsets[id]! + offsets[a + 1]! - offsets[a]! + offsets[b + 1]! - offsets[b]!;
  }
}

/** Uses plain loops: 100,000 calls of copyWithin for a few bytes each take ten times as long. */
function fillBytes(bytes: Uint8Array, offsets: Uint32Array, merges: Uint32Array): void {
  let at = 256;
  for (let side = 0; side < merges.length; side++) {
    const id = merges[side]!;
    const end = offsets[id + 1]!;
    for (let i = offsets[id]!; i < end; i++) bytes[at++] = bytes[i]!;
  }
}

/** Whether an id has no token. */
export function hasHoles({ size, offsets }: Vocabulary): boolean {
  for (let id = 0; id < size; id++) if (offsets[id] === offsets[id + 1]) return true;
  return false;
}

/**
 * The vocabulary with only the ids below `size`; undefined if tokens other than added ones have ids above. Fine-tuning often
 * adds a token such as `[PAD]` to the tokenizer but no row to the model, since no text has it.
 */
export function withoutAddedFrom(vocabulary: Vocabulary, size: number): Vocabulary | undefined {
  const { bytes, offsets, added, startOfText, endOfText, template, ...rest } = vocabulary;
  const ids = new Set(added.map(({ id }) => id));
  for (let id = size; id < vocabulary.size; id++) {
    if (offsets[id] !== offsets[id + 1] && !ids.has(id)) return undefined;
  }
  const has = (id: number | undefined): id is number => id !== undefined && id < size;
  return {
    ...rest,
    size,
    bytes: bytes.slice(0, offsets[size]),
    offsets: offsets.slice(0, size + 1),
    added: added.filter(({ id }) => id < size),
    ...(template && { template: { before: template.before.filter(has), after: template.after.filter(has) } }),
    ...(has(startOfText) && { startOfText }),
    ...(has(endOfText) && { endOfText }),
  };
}
