import { TokenizerError } from "../errors.js";
import { quote } from "../util/quote.js";
import { charsToBytes, putChars } from "./byte-alphabet.js";
import { type AddedToken, MOST_IDS, NO_ID, type Vocabulary } from "./vocabulary.js";

/** A vocabulary in the form of files, each part with its name for errors. */
export interface VocabularyTexts {
  /** Token, in the byte alphabet, to id. */
  readonly tokens: Readonly<Record<string, unknown>>;
  readonly tokensName: string;
  /** Merges by rank, in the byte alphabet. */
  readonly merges: readonly (readonly [string, string])[];
  /** Name of a merge, given its rank. */
  readonly mergeName: (rank: number) => string;
  /** Added tokens, as plain text; those that are also among `tokens` have the same id there. */
  readonly added: readonly AddedToken[];
  /** The parts that GPT-2's tokenizer lacks. */
  readonly extras?: VocabularyExtras;
}

export type VocabularyExtras = Pick<
  Vocabulary,
  "unknown" | "addPrefixSpace" | "template" | "startOfText" | "endOfText"
>;

/**
 * Joins the parts of a vocabulary.
 *
 * It runs once in each process, before its loops are compiled: they avoid destructuring, which is slow until then.
 *
 * @throws {TokenizerError} an id is invalid or belongs to two tokens; a token is outside the byte alphabet; a merge is from or to
 *   a missing token, or is repeated.
 */
export function vocabularyFromTexts(texts: VocabularyTexts): Vocabulary {
  const ids = new Map<string, unknown>();
  for (const text of Object.keys(texts.tokens)) ids.set(text, texts.tokens[text]);
  const byId = tokensById(texts, ids);
  return {
    size: byId.length,
    ...concatenate(byId, texts.tokensName),
    byteIds: idsOfBytes(byId),
    ...mergeIds(texts, ids as ReadonlyMap<string, number>, byId),
    added: texts.added.toSorted((a, b) => a.id - b.id),
    ...texts.extras,
  };
}

/** A token as its text in the byte alphabet, or as its bytes. */
type TokenText = string | Uint8Array;

function tokensById(texts: VocabularyTexts, ids: ReadonlyMap<string, unknown>): (TokenText | undefined)[] {
  const { tokensName, added } = texts;
  const byId: (TokenText | undefined)[] = [];
  const put = (text: string, id: unknown, token: TokenText): void => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= MOST_IDS) {
      throw tokenError(tokensName, text, `an id from 0 to ${MOST_IDS - 1}`, quote(id));
    }
    if (token.length === 0) throw tokenError(tokensName, text, "at least one character", '""');
    if (byId[id] !== undefined) throw tokenError(tokensName, text, "a unique id", `${id}, which another token has`);
    // Keeps the list dense: holes in the middle of a vocabulary are rare and small.
    while (byId.length < id) byId.push(undefined);
    byId[id] = token;
  };
  const own = textsOfTheirOwn(texts);
  ids.forEach((id, text) => {
    put(text, id, own.has(text) ? encoder.encode(text) : text);
  });
  for (const { text, id } of added) if (!ids.has(text)) put(text, id, encoder.encode(text));
  return byId;
}

function tokenError(file: string, token: string, expected: string, got: string, hint?: string): TokenizerError {
  const op = `reading ${file}: token ${quote(token)}`;
  return new TokenizerError({ op, expected, got, ...(hint !== undefined && { hint }) });
}

const encoder = new TextEncoder();

/**
 * Added tokens whose bytes are those of their text. A file may also add ordinary tokens, which merges
 * make: their bytes are in the byte alphabet.
 */
function textsOfTheirOwn({ added, merges }: VocabularyTexts): Set<string> {
  const own = new Set(added.map(({ text }) => text).filter((text) => text.length > 1 || !charsToBytes(text)));
  const lengths = new Set([...own].map((text) => text.length));
  for (const merge of merges) if (lengths.has(merge[0].length + merge[1].length)) own.delete(merge[0] + merge[1]);
  return own;
}

/** The bytes of all tokens, one after another, and the start of each. */
function concatenate(byId: readonly (TokenText | undefined)[], file: string): Pick<Vocabulary, "bytes" | "offsets"> {
  const offsets = new Uint32Array(byId.length + 1);
  for (let id = 0; id < byId.length; id++) offsets[id + 1] = offsets[id]! + (byId[id]?.length ?? 0);
  const bytes = new Uint8Array(offsets[byId.length]!);
  for (let id = 0; id < byId.length; id++) {
    const token = byId[id];
    if (typeof token !== "string") {
      if (token !== undefined) bytes.set(token, offsets[id]!);
    } else if (!putChars(token, bytes, offsets[id]!)) {
      const expected = "characters that stand for bytes as in GPT-2's vocab.json (Ġ for a space)";
      throw tokenError(file, token, expected, quote(token), "Only byte-level vocabularies can be read.");
    }
  }
  return { bytes, offsets };
}

function idsOfBytes(byId: readonly (TokenText | undefined)[]): Uint32Array {
  const byteIds = new Uint32Array(256).fill(NO_ID);
  byId.forEach((token, id) => {
    const byte = typeof token === "string" && token.length === 1 ? charsToBytes(token)![0] : undefined;
    if (byte !== undefined) byteIds[byte] = id;
  });
  return byteIds;
}

function mergeIds(
  { merges, mergeName }: VocabularyTexts,
  ids: ReadonlyMap<string, number>,
  byId: readonly (TokenText | undefined)[],
): Pick<Vocabulary, "merges" | "results"> {
  const pairs = new Uint32Array(2 * merges.length);
  const results = new Uint32Array(merges.length);
  const find = (text: string, rank: number): number => {
    const id = ids.get(text);
    if (id !== undefined) return id;
    throw new TokenizerError({
      op: `reading ${mergeName(rank)}`,
      expected: "tokens of the vocabulary, before and after merging",
      got: `${quote(text)}, which is not a token`,
    });
  };
  // The latest merge, plus one, that makes each token, and before each merge the previous one: repeated merges make the same token.
  const newest = new Int32Array(byId.length);
  const before = new Int32Array(merges.length);
  // Trained tokenizers number tokens in the order of their merges: most results need no look-up.
  let next = 0;
  for (let rank = 0; rank < merges.length; rank++) {
    const merge = merges[rank]!;
    const left = merge[0];
    const right = merge[1];
    const a = find(left, rank);
    const b = find(right, rank);
    const result = isJoined(byId[next], left, right) ? next : find(left + right, rank);
    for (let earlier = newest[result]!; earlier > 0; earlier = before[earlier - 1]!) {
      if (pairs[2 * earlier - 2] !== a || pairs[2 * earlier - 1] !== b) continue;
      const got = `the same as ${mergeName(earlier - 1)} (${quote(`${left} ${right}`)})`;
      throw new TokenizerError({ op: `reading ${mergeName(rank)}`, expected: "a unique merge", got });
    }
    before[rank] = newest[result]!;
    newest[result] = rank + 1;
    pairs[2 * rank] = a;
    pairs[2 * rank + 1] = b;
    results[rank] = result;
    next = result + 1;
  }
  return { merges: pairs, results };
}

/** Whether a token equals `left + right`, without joining these. */
function isJoined(token: TokenText | undefined, left: string, right: string): boolean {
  return (
    typeof token === "string" &&
    token.length === left.length + right.length &&
    token.startsWith(left) &&
    token.endsWith(right)
  );
}
