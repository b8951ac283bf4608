/**
 * llm.c's token shards: a header of 256 little-endian int32 (magic 20240520, version 1, token count, zeros), then the
 * tokens as little-endian uint16. This module handles only bytes, also in a browser; shard-file.ts handles files.
 */
import { DataError } from "../errors.js";

export const SHARD_MAGIC = 20240520;
export const SHARD_VERSION = 1;
/** 256 int32. */
export const SHARD_HEADER_BYTES = 1024;
/** The count is a signed 32-bit integer. */
export const SHARD_MAX_TOKENS = 2 ** 31 - 1;
/** Ids are 16 bits wide. */
export const SHARD_MAX_VOCAB = 65536;

/** Byte order of this machine. */
export const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The 1024 header bytes of a shard of `count` tokens. */
export function shardHeader(count: number): Uint8Array {
  if (!Number.isInteger(count) || count < 0 || count > SHARD_MAX_TOKENS) {
    throw new DataError({ op: "writing a token shard", expected: "0 to 2^31-1 tokens", got: String(count) });
  }
  const view = new DataView(new ArrayBuffer(SHARD_HEADER_BYTES));
  view.setInt32(0, SHARD_MAGIC, true);
  view.setInt32(4, SHARD_VERSION, true);
  view.setInt32(8, count, true);
  return new Uint8Array(view.buffer);
}

/**
 * The token count of a shard, from its first bytes and its whole size.
 *
 * @param header at least the first 1024 bytes (fewer only if the file is shorter)
 * @param fileBytes size of the whole shard in bytes
 * @param name the file, for the message
 * @throws {DataError} not a shard, another version, or a size that does not fit the count
 */
export function readShardHeader(header: Uint8Array, fileBytes: number, name: string): number {
  const op = `reading token shard ${name}`;
  if (fileBytes < SHARD_HEADER_BYTES || header.length < SHARD_HEADER_BYTES) {
    throw new DataError({
      op,
      expected: `a header of ${SHARD_HEADER_BYTES} bytes`,
      got: `a file of ${Math.min(fileBytes, header.length)} bytes`,
      hint: "The file is truncated, or not a token shard; make one with `gpt2 data`",
    });
  }
  const view = new DataView(header.buffer, header.byteOffset, SHARD_HEADER_BYTES);
  const magic = view.getInt32(0, true);
  if (magic !== SHARD_MAGIC) {
    throw new DataError({
      op,
      expected: `magic ${SHARD_MAGIC}`,
      got: String(magic),
      hint: "This is not one of llm.c's GPT-2 token shards; make them from text with `gpt2 data`",
    });
  }
  const version = view.getInt32(4, true);
  if (version !== SHARD_VERSION) {
    throw new DataError({
      op,
      expected: `version ${SHARD_VERSION} (uint16 tokens)`,
      got: `version ${version}`,
      hint: "Other versions hold wider tokens of other models",
    });
  }
  const count = view.getInt32(8, true);
  if (count < 0 || SHARD_HEADER_BYTES + 2 * count !== fileBytes) {
    throw new DataError({
      op,
      expected: `${SHARD_HEADER_BYTES + 2 * count} bytes for the ${count} tokens of its header`,
      got: `${fileBytes} bytes`,
      hint: "The file is truncated, or an interrupted program wrote it; recreate it",
    });
  }
  return count;
}

/** The tokens of a whole shard in memory: a view if alignment and byte order allow, else a copy. */
export function parseShard(bytes: Uint8Array, name = "(bytes)"): Uint16Array {
  const count = readShardHeader(bytes, bytes.length, name);
  return tokensFromBytes(bytes.subarray(SHARD_HEADER_BYTES, SHARD_HEADER_BYTES + 2 * count));
}

/** A whole shard as bytes. */
export function encodeShard(tokens: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(SHARD_HEADER_BYTES + 2 * tokens.length);
  bytes.set(shardHeader(tokens.length));
  bytes.set(tokensToBytes(checkedUint16(tokens)), SHARD_HEADER_BYTES);
  return bytes;
}

/** Little-endian bytes as uint16 tokens, as a view of the same memory if possible. */
export function tokensFromBytes(bytes: Uint8Array): Uint16Array {
  if (littleEndian && bytes.byteOffset % 2 === 0)
    return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true));
}

/** Tokens as little-endian bytes, as a view of the same memory if possible. */
export function tokensToBytes(tokens: Uint16Array): Uint8Array {
  if (littleEndian) return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
  const view = new DataView(new ArrayBuffer(tokens.byteLength));
  for (let i = 0; i < tokens.length; i++) view.setUint16(2 * i, tokens[i]!, true);
  return new Uint8Array(view.buffer);
}

/** The tokens as uint16. @throws {DataError} a token does not fit. */
export function checkedUint16(tokens: ArrayLike<number>): Uint16Array {
  if (tokens instanceof Uint16Array) return tokens;
  const out = new Uint16Array(tokens.length);
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    out[i] = token;
    if (out[i] !== token) {
      throw new DataError({
        op: "storing tokens in 16 bits",
        expected: `ids from 0 to ${SHARD_MAX_VOCAB - 1}`,
        got: `${token} at position ${i}`,
      });
    }
  }
  return out;
}

/** Refuses a vocabulary whose ids do not fit into 16 bits. */
export function checkShardVocab(vocabSize: number): void {
  if (vocabSize <= SHARD_MAX_VOCAB) return;
  throw new DataError({
    op: "writing token shards",
    expected: `a vocabulary of at most ${SHARD_MAX_VOCAB} tokens (ids are stored in 16 bits)`,
    got: `${vocabSize} tokens`,
    hint: "Use the GPT-2 tokenizer, or train a smaller one with `gpt2 tokenizer train`",
  });
}
