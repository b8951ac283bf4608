import { CheckpointError } from "../../errors.js";
import { crc32c, maskCrc32c } from "../../util/crc32c.js";
import type { ByteSource } from "../byte-source.js";
import { VarintReader } from "./protobuf.js";
import { snappyDecompress } from "./snappy.js";

/**
 * LevelDB's sorted table (github.com/google/leveldb, doc/table_format.md), in which TensorFlow keeps its index: blocks of
 * keys and values with common prefixes omitted, a block that lists them, and a footer with the position of that block.
 */

const FOOTER_BYTES = 48;
const MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];
/** The trailer of a block: its compression, and its checksum. */
const TRAILER_BYTES = 5;
/** Limits far above any model's index: gpt2-xl's has 580 entries, in 40 kB. They bound the memory for a hostile file. */
const MAX_FILE_BYTES = 2 ** 22;
const MAX_BLOCK_BYTES = 2 ** 22;
const MAX_ENTRIES = 100_000;
const MAX_KEY_BYTES = 1000;

/**
 * All keys, as Latin-1 text in order, with their values.
 *
 * @throws {CheckpointError} this is not a complete table, a checksum differs, or keys are out of order.
 */
export function readTable(source: ByteSource): Map<string, Uint8Array> {
  const op = `reading ${source.name}: index of tensors`;
  if (source.size < FOOTER_BYTES || source.size > MAX_FILE_BYTES) {
    const expected = `a table of ${FOOTER_BYTES} to ${MAX_FILE_BYTES} bytes`;
    throw new CheckpointError({ op, expected, got: `a file of ${source.size} bytes` });
  }
  const footer = source.bytes(source.size - FOOTER_BYTES, FOOTER_BYTES);
  if (!MAGIC.every((byte, i) => footer[FOOTER_BYTES - 8 + i] === byte)) {
    const hint = "The file is truncated, or is not a TensorFlow checkpoint's index";
    throw new CheckpointError({
      op,
      expected: "the magic number of a sorted table at its end",
      got: `0x${Array.from(footer.subarray(-8), (byte) => byte.toString(16).padStart(2, "0")).join("")}`,
      hint,
    });
  }
  const handles = new VarintReader(footer, op);
  readHandle(handles); // The block of filters, which TensorFlow leaves empty.
  const entries = new Map<string, Uint8Array>();
  let end = 0;
  for (const { value } of blockEntries(readBlock(source, readHandle(handles), op), op)) {
    const handle = readHandle(new VarintReader(value, op));
    // Requiring blocks in order keeps a file from expanding without limit.
    if (handle.offset < end)
      throw new CheckpointError({ op, expected: `a block from byte ${end} on`, got: `${handle.offset}` });
    end = handle.offset + handle.size;
    addEntries(entries, readBlock(source, handle, op), op);
  }
  return entries;
}

function addEntries(entries: Map<string, Uint8Array>, block: Uint8Array, op: string): void {
  for (const { key, value } of blockEntries(block, op)) {
    if (entries.has(key)) throw new CheckpointError({ op, expected: "each key once", got: JSON.stringify(key) });
    if (entries.size === MAX_ENTRIES) {
      throw new CheckpointError({ op, expected: `at most ${MAX_ENTRIES} entries`, got: `${MAX_ENTRIES + 1} or more` });
    }
    entries.set(key, value);
  }
}

interface BlockHandle {
  readonly offset: number;
  /** Size without the trailer. */
  readonly size: number;
}

function readHandle(reader: VarintReader): BlockHandle {
  return { offset: reader.varint(), size: reader.varint() };
}

function readBlock(source: ByteSource, { offset, size }: BlockHandle, op: string): Uint8Array {
  if (offset + size + TRAILER_BYTES > source.size) {
    const expected = `a block within the file's ${source.size} bytes`;
    throw new CheckpointError({ op, expected, got: `${size} bytes at ${offset}`, hint: "The file is truncated" });
  }
  const bytes = source.bytes(offset, size + TRAILER_BYTES);
  const checksum = new DataView(bytes.buffer, bytes.byteOffset + size + 1, 4).getUint32(0, true);
  const actual = maskCrc32c(crc32c(bytes.subarray(0, size + 1)));
  if (actual !== checksum) {
    throw new CheckpointError({
      op,
      expected: `a block at byte ${offset} with the checksum 0x${checksum.toString(16)}`,
      got: `0x${actual.toString(16)}`,
      hint: "It is damaged",
    });
  }
  const block = bytes.subarray(0, size);
  const compression = bytes[size]!;
  if (compression === 0) return block;
  if (compression === 1) return snappyDecompress(block, MAX_BLOCK_BYTES, op);
  throw new CheckpointError({
    op,
    expected: "blocks that are uncompressed or compressed by Snappy",
    got: `compression ${compression}`,
  });
}

/** The end of a block, 4 bytes each: positions of keys that are written in full, and their number. */
function* blockEntries(block: Uint8Array, op: string): Generator<{ key: string; value: Uint8Array }, void, void> {
  const malformed = (got: string) => new CheckpointError({ op, expected: "a block of keys and values", got });
  if (block.length < 4) throw malformed(`${block.length} bytes`);
  const restarts = new DataView(block.buffer, block.byteOffset + block.length - 4, 4).getUint32(0, true);
  const end = block.length - 4 - 4 * restarts;
  if (end < 0) throw malformed(`${restarts} restarts in ${block.length} bytes`);
  const reader = new VarintReader(block.subarray(0, end), op);
  let key = "";
  let first = true;
  while (!reader.done) {
    const [shared, rest, length] = [reader.varint(), reader.varint(), reader.varint()];
    if (shared > key.length || shared + rest > MAX_KEY_BYTES) throw malformed(`a key of ${shared} + ${rest} bytes`);
    const next = key.slice(0, shared) + String.fromCharCode(...reader.take(rest));
    if (!first && next <= key) throw malformed("keys out of order");
    key = next;
    first = false;
    yield { key, value: reader.take(length) };
  }
}
