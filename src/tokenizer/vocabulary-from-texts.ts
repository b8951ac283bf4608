import { TokenizerError } from "../errors.js";
import { charsToBytes } from "./byte-alphabet.js";
import { type AddedToken, MOST_IDS, NO_ID, type Vocabulary } from "./vocabulary.js";

/** A vocabulary as files write it, each part with the name that errors call it by. */
export interface VocabularyTexts {
  /** Token, in the byte alphabet, to id. */
  readonly tokens: Readonly<Record<string, unknown>>;
  readonly tokensName: string;
  /** Merges by rank, in the byte alphabet. */
  readonly merges: readonly (readonly [string, string])[];
  /** Name of a merge, by rank. */
  readonly mergeName: (rank: number) => string;
  /** Added tokens, as plain text; those that are among `tokens` too have the same id there. */
  readonly added: readonly AddedToken[];
  /** The parts that GPT-2's tokenizer does without. */
  readonly extras?: VocabularyExtras;
}

export type VocabularyExtras = Pick<
  Vocabulary,
  "unknown" | "addPrefixSpace" | "template" | "startOfText" | "endOfText"
>;

/**
 * Joins the parts of a vocabulary.
 *
 * @throws {TokenizerError} an invalid id, or one that two tokens have; a token outside the byte alphabet; a merge of or to
 *   a token that is not there, or one that stands there twice.
 */
export function vocabularyFromTexts(texts: VocabularyTexts): Vocabulary {
  const bytesById = tokenBytesById(texts);
  return {
    size: bytesById.length,
    ...concatenate(bytesById),
    byteIds: idsOfBytes(texts),
    ...mergeIds(texts),
    added: texts.added.toSorted((a, b) => a.id - b.id),
    ...texts.extras,
  };
}

function tokenBytesById(texts: VocabularyTexts): (Uint8Array | undefined)[] {
  const { tokens, tokensName, added } = texts;
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
        got: quote(text),
        hint: "Only byte-level vocabularies can be read.",
      });
    }
    if (bytes.length === 0) throw new TokenizerError({ op, expected: "at least one character", got: '""' });
    if (bytesById[id] !== undefined) {
      throw new TokenizerError({ op, expected: "an id of its own", got: `${id}, which another token has` });
    }
    // Keeps the list dense: holes in the middle of a vocabulary are rare and small.
    while (bytesById.length < id) bytesById.push(undefined);
    bytesById[id] = bytes;
  };
  const own = textsOfTheirOwn(texts);
  for (const [text, id] of Object.entries(tokens))
    put(text, id, own.has(text) ? encoder.encode(text) : charsToBytes(text));
  for (const { text, id } of added) if (!Object.hasOwn(tokens, text)) put(text, id, encoder.encode(text));
  return bytesById;
}

const encoder = new TextEncoder();

/**
 * Added tokens whose bytes are those of their text. A file may add tokens that are ordinary ones as well, which merges
 * make: their bytes are in the byte alphabet.
 */
function textsOfTheirOwn({ added, merges }: VocabularyTexts): Set<string> {
  const own = new Set(added.map(({ text }) => text).filter((text) => text.length > 1 || !charsToBytes(text)));
  if (own.size > 0) for (const [left, right] of merges) own.delete(left + right);
  return own;
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

function idsOfBytes({ tokens }: VocabularyTexts): Uint32Array {
  const byteIds = new Uint32Array(256).fill(NO_ID);
  for (const [text, id] of Object.entries(tokens)) {
    const byte = text.length === 1 ? charsToBytes(text)?.[0] : undefined;
    if (byte !== undefined) byteIds[byte] = id as number;
  }
  return byteIds;
}

function mergeIds({ tokens, merges, mergeName }: VocabularyTexts): Pick<Vocabulary, "merges" | "results"> {
  const pairs = new Uint32Array(2 * merges.length);
  const results = new Uint32Array(merges.length);
  const seen = new Map<number, number>();
  const find = (text: string, rank: number): number => {
    if (Object.hasOwn(tokens, text)) return tokens[text] as number;
    throw new TokenizerError({
      op: `reading ${mergeName(rank)}`,
      expected: "tokens of the vocabulary, before and after merging",
      got: `${quote(text)}, which is none`,
    });
  };
  merges.forEach(([left, right], rank) => {
    const [a, b] = [find(left, rank), find(right, rank)];
    const key = a * 2 ** 21 + b;
    const earlier = seen.get(key);
    if (earlier !== undefined) {
      const got = `that of ${mergeName(earlier)} (${quote(`${left} ${right}`)})`;
      throw new TokenizerError({ op: `reading ${mergeName(rank)}`, expected: "a merge of its own", got });
    }
    seen.set(key, rank);
    pairs[2 * rank] = a;
    pairs[2 * rank + 1] = b;
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
