import { TokenizerError } from "../errors.js";
import { charsToBytes } from "./byte-alphabet.js";
import { MOST_IDS } from "./pair-table.js";
import type { Vocabulary } from "./vocabulary.js";

/** A vocabulary as files write it, each part with the name that errors call it by. */
export interface VocabularyTexts {
  /** Token, in the byte alphabet, to id. */
  readonly tokens: Readonly<Record<string, unknown>>;
  readonly tokensName: string;
  /** Merges by rank, in the byte alphabet. */
  readonly merges: readonly (readonly [string, string])[];
  /** Name of a merge, by rank. */
  readonly mergeName: (rank: number) => string;
  /** Special tokens, as plain text, to id; some or all may be among the tokens too. */
  readonly special: ReadonlyMap<string, number>;
}

/**
 * @throws {TokenizerError} an id that is no id or has two tokens, a token outside the byte alphabet, a byte without a
 *   token, or a merge of or to a token that is not there.
 */
export function vocabularyFromTexts(texts: VocabularyTexts): Vocabulary {
  const bytesById = tokenBytesById(texts);
  const { bytes, offsets } = concatenate(bytesById);
  return {
    size: bytesById.length,
    bytes,
    offsets,
    byteIds: idsOfBytes(bytesById, texts),
    ...mergeIds(texts),
    special: new Map(texts.special),
  };
}

function tokenBytesById({ tokens, tokensName, special }: VocabularyTexts): (Uint8Array | undefined)[] {
  const bytesById: (Uint8Array | undefined)[] = [];
  const put = (text: string, id: unknown, bytes: Uint8Array | undefined): void => {
    const op = `reading ${tokensName}: token ${quote(text)}`;
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= MOST_IDS) {
      throw new TokenizerError({ op, expected: `an id from 0 to ${MOST_IDS - 1}`, got: quote(id) });
    }
    if (bytes === undefined) {
      throw new TokenizerError({
        op,
        expected: "characters that stand for bytes as in GPT-2's vocab.json (Ġ for a space)",
        got: "others",
        hint: "Only byte-level vocabularies can be read.",
      });
    }
    if (bytes.length === 0) throw new TokenizerError({ op, expected: "at least one character", got: "none" });
    if (bytesById[id] !== undefined) {
      throw new TokenizerError({ op, expected: "an id of its own", got: `${id}, which another token has` });
    }
    // Keeps the list dense: holes in the middle of a vocabulary are rare and small.
    while (bytesById.length < id) bytesById.push(undefined);
    bytesById[id] = bytes;
  };
  for (const [text, id] of Object.entries(tokens)) if (!special.has(text)) put(text, id, charsToBytes(text));
  for (const [text, id] of special) put(text, id, new TextEncoder().encode(text));
  return bytesById;
}

function concatenate(bytesById: readonly (Uint8Array | undefined)[]): Pick<Vocabulary, "bytes" | "offsets"> {
  const offsets = new Uint32Array(bytesById.length + 1);
  bytesById.forEach((token, id) => {
    offsets[id + 1] = offsets[id]! + (token?.length ?? 0);
  });
  const bytes = new Uint8Array(offsets[bytesById.length]!);
  bytesById.forEach((token, id) => {
    if (token !== undefined) bytes.set(token, offsets[id]!);
  });
  return { bytes, offsets };
}

function idsOfBytes(bytesById: readonly (Uint8Array | undefined)[], texts: VocabularyTexts): Uint32Array {
  const byteIds = new Uint32Array(256).fill(MOST_IDS);
  const special = new Set(texts.special.values());
  bytesById.forEach((token, id) => {
    if (token?.length === 1 && !special.has(id)) byteIds[token[0]!] = id;
  });
  const missing = byteIds.indexOf(MOST_IDS);
  if (missing >= 0) {
    throw new TokenizerError({
      op: `reading ${texts.tokensName}`,
      expected: "a token for each of the 256 bytes",
      got: `none for byte 0x${missing.toString(16).padStart(2, "0")}`,
    });
  }
  return byteIds;
}

function mergeIds({ tokens, merges, mergeName, special }: VocabularyTexts): Pick<Vocabulary, "merges" | "results"> {
  const pairs = new Uint32Array(2 * merges.length);
  const results = new Uint32Array(merges.length);
  const find = (text: string, rank: number): number => {
    if (Object.hasOwn(tokens, text) && !special.has(text)) return tokens[text] as number;
    throw new TokenizerError({
      op: `reading ${mergeName(rank)}`,
      expected: "tokens of the vocabulary, before and after merging",
      got: `${quote(text)}, which is none`,
    });
  };
  merges.forEach(([left, right], rank) => {
    pairs[2 * rank] = find(left, rank);
    pairs[2 * rank + 1] = find(right, rank);
    results[rank] = find(left + right, rank);
  });
  return { merges: pairs, results };
}

/** A value from a file, short and on one line. */
export function quote(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}
