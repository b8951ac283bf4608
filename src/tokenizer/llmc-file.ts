import { TokenizerError } from "../errors.js";
import { type AddedToken, END_OF_TEXT, endOfTextOf, MOST_IDS, NO_ID, type Vocabulary } from "./vocabulary.js";

/**
 * llm.c's tokenizer file (github.com/karpathy/llm.c, train_gpt2.py `write_tokenizer` and llmc/tokenizer.h): a header of 256
 * int32 (magic, version, number of tokens, id of `<|endoftext|>` from version 2 on), then for each id a byte with its length and that
 * many bytes. It is meant for decoding and has no merges; they follow from the tokens.
 */

const MAGIC = 20240328;
const VERSION = 2;
const HEADER_INTS = 256;
const HEADER_BYTES = 4 * HEADER_INTS;
/** The id that version 1 does not store. */
const VERSION_1_END_OF_TEXT = 50256;
const LONGEST = 255;
/** Limit of the sum of the tokens' squared lengths: 2.5 million for GPT-2. More would take minutes, and no vocabulary has it. */
const MOST_WORK = 2 ** 28;

/**
 * @param name of the file, for errors.
 * @throws {TokenizerError} this is not such a file, it is malformed, or its tokens are not a byte-level BPE's.
 */
export function readLlmcTokenizer(file: Uint8Array, name: string): Vocabulary {
  const { size, endOfText } = readHeader(file, name);
  const { bytes, offsets } = readTokens(file, size, name);
  return recoverVocabulary({ size, bytes, offsets }, endOfText, name);
}

function readHeader(file: Uint8Array, name: string): { size: number; endOfText: number } {
  const op = `reading ${name}: llm.c tokenizer`;
  const refuse = (expected: string, got: string): never => {
    throw new TokenizerError({ op, expected, got });
  };
  if (file.length < HEADER_BYTES) refuse(`${HEADER_BYTES} bytes of header`, `a file of ${file.length} bytes`);
  const view = new DataView(file.buffer, file.byteOffset, HEADER_BYTES);
  const [magic, version, size, stored] = [0, 4, 8, 12].map((at) => view.getInt32(at, true)) as [
    number,
    number,
    number,
    number,
  ];
  if (magic !== MAGIC) refuse(`the magic number ${MAGIC}`, `${magic}`);
  if (version !== 1 && version !== VERSION) refuse("version 1 or 2", `${version}`);
  if (size < 1 || size > MOST_IDS) refuse(`1 to ${MOST_IDS} tokens`, `${size}`);
  const endOfText = version === 1 ? VERSION_1_END_OF_TEXT : stored;
  if (endOfText < 0 || endOfText >= size) refuse(`an id of ${END_OF_TEXT} below ${size}`, `${endOfText}`);
  return { size, endOfText };
}

function readTokens(file: Uint8Array, size: number, name: string): Pick<Vocabulary, "bytes" | "offsets"> {
  const offsets = new Uint32Array(size + 1);
  const bytes = new Uint8Array(file.length - HEADER_BYTES);
  let at = HEADER_BYTES;
  for (let id = 0; id < size; id++) {
    const length = file[at] ?? 0;
    if (at >= file.length || at + 1 + length > file.length) {
      const got = `a file that ends in token ${id}`;
      throw new TokenizerError({ op: `reading ${name}`, expected: `${size} tokens`, got, hint: "It is truncated" });
    }
    bytes.set(file.subarray(at + 1, at + 1 + length), offsets[id]!);
    offsets[id + 1] = offsets[id]! + length;
    at += 1 + length;
  }
  if (at === file.length) return { bytes: bytes.slice(0, offsets[size]!), offsets };
  const got = `${file.length - at} bytes more`;
  throw new TokenizerError({ op: `reading ${name}`, expected: `the end after ${size} tokens`, got });
}

type Tokens = Pick<Vocabulary, "size" | "bytes" | "offsets">;

/**
 * Recovers the merges. A byte-level BPE numbers its tokens in the order of their merges, so the bytes of each token,
 * merged by the merges before it, give the two tokens of which it was made. Tokens for which this fails are special.
 */
function recoverVocabulary(tokens: Tokens, endOfText: number, name: string): Vocabulary {
  const { size, bytes, offsets } = tokens;
  const byteIds = singleBytes(tokens, endOfText, name);
  const ranks = new Map<number, number>();
  const merges: number[] = [];
  const results: number[] = [];
  const end = endText(bytes.subarray(offsets[endOfText]!, offsets[endOfText + 1]!));
  const added: AddedToken[] = [{ id: endOfText, text: end, special: true }];
  let work = 0;
  for (let id = 0; id < size; id++) {
    const token = bytes.subarray(offsets[id]!, offsets[id + 1]!);
    if (id === endOfText || token.length === 0 || (token.length === 1 && byteIds[token[0]!] === id)) continue;
    work += token.length ** 2;
    if (work > MOST_WORK)
      throw new TokenizerError({ op: `reading ${name}`, expected: "a vocabulary's tokens", got: "far longer tokens" });
    const parts = mergeAll(
      Array.from(token, (byte) => byteIds[byte]!),
      ranks,
      results,
    );
    if (parts.length === 2 && parts.every((part) => part < id) && token.length > 1) {
      ranks.set(pairKey(parts[0]!, parts[1]!), results.length);
      merges.push(...parts);
      results.push(id);
    } else added.push({ id, text: specialText(token, id, added, name), special: true });
  }
  added.sort((a, b) => a.id - b.id);
  const vocabulary = { size, byteIds, merges: Uint32Array.from(merges), results: Uint32Array.from(results), added };
  return {
    ...vocabulary,
    ...withText(tokens, endOfText, end),
    ...(end !== END_OF_TEXT && { endOfText }),
  };
}

/** The text of the token that ends a text; `<|endoftext|>` where the file has no such token, or no text for it. */
function endText(token: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(token) || END_OF_TEXT;
  } catch {
    return END_OF_TEXT;
  }
}

function singleBytes({ size, bytes, offsets }: Tokens, endOfText: number, name: string): Uint32Array {
  const byteIds = new Uint32Array(256).fill(NO_ID);
  for (let id = size - 1; id >= 0; id--) {
    if (id !== endOfText && offsets[id + 1]! - offsets[id]! === 1) byteIds[bytes[offsets[id]!]!] = id;
  }
  const missing = byteIds.indexOf(NO_ID);
  if (missing < 0) return byteIds;
  const got = `no token for byte 0x${missing.toString(16).padStart(2, "0")}`;
  throw new TokenizerError({ op: `reading ${name}`, expected: "a token for each of the 256 bytes", got });
}

const pairKey = (left: number, right: number): number => left * 2 ** 21 + right;

/** Naive byte-pair encoding: tokens are short. */
function mergeAll(ids: number[], ranks: ReadonlyMap<number, number>, results: readonly number[]): number[] {
  for (;;) {
    let least = Number.POSITIVE_INFINITY;
    let place = -1;
    for (let i = 0; i + 1 < ids.length; i++) {
      const rank = ranks.get(pairKey(ids[i]!, ids[i + 1]!)) ?? Number.POSITIVE_INFINITY;
      if (rank < least) [least, place] = [rank, i];
    }
    if (place < 0) return ids;
    ids.splice(place, 2, results[least]!);
  }
}

function specialText(token: Uint8Array, id: number, added: readonly AddedToken[], name: string): string {
  const op = `reading ${name}: token ${id}`;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(token);
  } catch (cause) {
    throw new TokenizerError({
      op,
      expected: "two tokens before it, merged, or a special token's text",
      got: "other bytes",
      cause,
    });
  }
  const other = added.find((token) => token.text === text);
  if (other === undefined) return text;
  throw new TokenizerError({
    op,
    expected: "a unique token",
    got: `${JSON.stringify(text)}, as in token ${other.id}`,
  });
}

/** The tokens with the one of `id` replaced by a text. */
function withText({ size, bytes, offsets }: Tokens, id: number, token: string): Pick<Vocabulary, "bytes" | "offsets"> {
  const text = new TextEncoder().encode(token);
  const [start, end] = [offsets[id]!, offsets[id + 1]!];
  const shift = text.length - (end - start);
  const moved = new Uint8Array(bytes.length + shift);
  moved.set(bytes.subarray(0, start));
  moved.set(text, start);
  moved.set(bytes.subarray(end), start + text.length);
  const places = offsets.slice();
  for (let next = id + 1; next <= size; next++) places[next] = offsets[next]! + shift;
  return { bytes: moved, offsets: places };
}

/**
 * The file that llm.c uses for decoding (it calls it gpt2_tokenizer.bin).
 *
 * @throws {TokenizerError} no token ends a text, an id has no token, or a token is longer than 255 bytes.
 */
export function writeLlmcTokenizer(vocabulary: Vocabulary): Uint8Array {
  const op = "writing an llm.c tokenizer";
  const { size, bytes, offsets } = vocabulary;
  const endOfText = endOfTextOf(vocabulary);
  if (endOfText === undefined)
    throw new TokenizerError({ op, expected: `a token ${END_OF_TEXT}`, got: "no such token" });
  const file = new Uint8Array(HEADER_BYTES + size + bytes.length);
  const view = new DataView(file.buffer);
  for (const [i, value] of [MAGIC, VERSION, size, endOfText].entries()) view.setInt32(4 * i, value, true);
  let at = HEADER_BYTES;
  for (let id = 0; id < size; id++) {
    const token = bytes.subarray(offsets[id]!, offsets[id + 1]!);
    if (token.length === 0 || token.length > LONGEST) {
      throw new TokenizerError({ op: `${op}: token ${id}`, expected: `1 to ${LONGEST} bytes`, got: `${token.length}` });
    }
    file[at] = token.length;
    file.set(token, at + 1);
    at += 1 + token.length;
  }
  return file;
}
