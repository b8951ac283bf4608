import { TokenizerError } from "../errors.js";
import { BYTES_BY_ID } from "./byte-alphabet.js";

/** A byte-level BPE vocabulary: what every id means and which pairs merge, in flat arrays. */
export interface Vocabulary {
  /** Ids are 0 to size - 1. */
  readonly size: number;
  /** Bytes of all tokens, one after another in id order. */
  readonly bytes: Uint8Array;
  /** [size + 1] token `id` is `bytes[offsets[id], offsets[id + 1])`; empty if no token has this id. */
  readonly offsets: Uint32Array;
  /** [256] id of each single byte. */
  readonly byteIds: Uint32Array;
  /** [2 × merges] ids left, right of each merge; a merge's index is its rank, lowest first. */
  readonly merges: Uint32Array;
  /** [merges] id that each merge makes. */
  readonly results: Uint32Array;
  /** Special tokens, text to id; their bytes are their text's. */
  readonly special: ReadonlyMap<string, number>;
}

/** GPT-2's special token: the end of a document, and the start of one with no prompt. */
export const END_OF_TEXT = "<|endoftext|>";

/**
 * A vocabulary in GPT-2's own order: ids 0 to 255 are the bytes, 256 + r is what merge r makes, special tokens follow.
 *
 * @param merges [2 × count] ids left, right.
 * @throws {TokenizerError} a merge of tokens that do not exist yet.
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
 * The same of merges known to be in order. Each part is made when first asked for: a start has no time for what it may
 * never use.
 *
 * @param count of merges
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
    special: () => new Map(special.map((text, i) => [text, first + i])),
  });
  return vocabulary;
}

/** An object whose properties are made when first read. They are its own, so that it can be copied and sent to a worker. */
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

/** Where the bytes of merged tokens start. A function of its own, as the next, so that V8 optimises it while it runs. */
function fillOffsets(offsets: Uint32Array, merges: Uint32Array): void {
  for (let r = 0, id = 256; 2 * r < merges.length; r++, id++) {
    const a = merges[2 * r]!;
    const b = merges[2 * r + 1]!;
    offsets[id + 1] = offsets[id]! + offsets[a + 1]! - offsets[a]! + offsets[b + 1]! - offsets[b]!;
  }
}

/** Plain loops: 100,000 calls of copyWithin for a few bytes each take ten times longer. */
function fillBytes(bytes: Uint8Array, offsets: Uint32Array, merges: Uint32Array): void {
  let at = 256;
  for (let side = 0; side < merges.length; side++) {
    const id = merges[side]!;
    const end = offsets[id + 1]!;
    for (let i = offsets[id]!; i < end; i++) bytes[at++] = bytes[i]!;
  }
}

/**
 * The vocabulary with ids below `size` only; undefined if it has other tokens than special ones above. Whoever fine-tunes
 * often adds a token such as `[PAD]` to the tokenizer and none to the model, since no text has it.
 */
export function withoutSpecialFrom(vocabulary: Vocabulary, size: number): Vocabulary | undefined {
  const { bytes, offsets, special } = vocabulary;
  const ids = new Set(special.values());
  for (let id = size; id < vocabulary.size; id++) {
    if (offsets[id] !== offsets[id + 1] && !ids.has(id)) return undefined;
  }
  return {
    ...vocabulary,
    size,
    bytes: bytes.slice(0, offsets[size]),
    offsets: offsets.slice(0, size + 1),
    special: new Map([...special].filter(([, id]) => id < size)),
  };
}
