import { CheckpointError } from "../errors.js";
import { quote } from "../util/quote.js";
import { ByteCursor } from "./byte-cursor.js";
import type { ByteSource } from "./byte-source.js";

/**
 * Zip archives (PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.4, with zip64). Only the directory at the end is read. An
 * uncompressed entry, as torch.save and numpy.savez write, is a range of the file; a compressed one must be
 * decompressed by the caller.
 */

export interface ZipEntry {
  readonly name: string;
  /** Size in bytes, uncompressed. */
  readonly size: number;
  /** `stored`, or the compression method. */
  readonly method: string;
  /** CRC-32 of its uncompressed bytes. */
  readonly crc32: number;
  /**
   * Its bytes as stored in the file.
   *
   * @throws {CheckpointError} it is encrypted, compressed by a method other than deflate, or its header contradicts the directory.
   */
  packed(): Uint8Array;
  /**
   * The position of its bytes in the file.
   *
   * @throws {CheckpointError} it is compressed or encrypted, or its header contradicts the directory.
   */
  locate(): number;
}

const LOCAL_HEADER = 0x04034b50;
const DIRECTORY_ENTRY = 0x02014b50;
const DIRECTORY_END = 0x06054b50;
const ZIP64_DIRECTORY_END = 0x06064b50;
const ZIP64_LOCATOR = 0x07064b50;
const DIRECTORY_END_BYTES = 22;
const LOCAL_HEADER_BYTES = 30;
/** A comment, which follows the end record, has a 16-bit length. */
const LONGEST_COMMENT = 0xffff;
const LONGEST_NAME = 1000;
const ENCRYPTED = 1;
const STORED = 0;
const DEFLATED = 8;
const ZIP64_EXTRA = 1;
/** Far above the number of tensors of any model. */
const MAX_ENTRIES = 100_000;

const METHODS: Readonly<Record<number, string>> = {
  [STORED]: "stored",
  [DEFLATED]: "deflate",
  9: "deflate64",
  12: "bzip2",
  14: "LZMA",
  93: "zstd",
};

const methodName = (method: number): string => METHODS[method] ?? `method ${method}`;

/**
 * The entries of an archive by name. Checksums are left to the caller, because PyTorch can be set to omit them.
 *
 * @throws {CheckpointError} this is not a complete zip archive, or one in several parts.
 */
export function readZip(source: ByteSource): Map<string, ZipEntry> {
  const end = findDirectory(source);
  const entries = new Map<string, ZipEntry>();
  const cursor = new ByteCursor(source, end.offset, end.offset + end.size, "zip directory");
  for (let i = 0; i < end.entries; i++) {
    const listed = readListed(source, cursor);
    const { name, size, crc32 } = listed;
    if (entries.has(name)) throw zipError(source, "each entry once", `${quote(name)} twice`);
    const packed = () => {
      const start = locatePacked(source, listed, end.offset, [STORED, DEFLATED]);
      return source.bytes(start, listed.packed);
    };
    const method = methodName(listed.method);
    entries.set(name, { name, size, method, crc32, packed, locate: () => locateStored(source, listed, end.offset) });
  }
  return entries;
}

interface Directory {
  readonly offset: number;
  readonly size: number;
  readonly entries: number;
}

function findDirectory(source: ByteSource): Directory {
  const at = findDirectoryEnd(source);
  const cursor = new ByteCursor(source, at + 4, source.size, "end of the zip directory");
  const [disk, directoryDisk, entriesHere, entries] = [cursor.u16(), cursor.u16(), cursor.u16(), cursor.u16()];
  let directory: Directory = { entries, size: cursor.u32(), offset: cursor.u32() };
  let limit = at;
  const zip64 = findZip64End(source, at);
  if (zip64 !== undefined) {
    directory = readZip64End(source, zip64);
    limit = zip64;
  } else if (disk !== 0 || directoryDisk !== 0 || entriesHere !== entries) {
    throw zipError(source, "an archive in one piece", "an archive in several parts");
  }
  const { offset, size } = directory;
  if (offset + size > limit) {
    const expected = `a directory before byte ${limit}, where its end is recorded`;
    throw zipError(source, expected, `${size} bytes at ${offset}`);
  }
  if (directory.entries > MAX_ENTRIES) throw zipError(source, `at most ${MAX_ENTRIES} entries`, `${directory.entries}`);
  return directory;
}

/** Searches from the back: the record is followed by a comment of the length that it gives. */
function findDirectoryEnd(source: ByteSource): number {
  const length = Math.min(source.size, DIRECTORY_END_BYTES + LONGEST_COMMENT);
  const tail = source.bytes(source.size - length, length);
  const view = new DataView(tail.buffer, tail.byteOffset, length);
  for (let i = length - DIRECTORY_END_BYTES; i >= 0; i--) {
    if (view.getUint32(i, true) !== DIRECTORY_END) continue;
    if (i + DIRECTORY_END_BYTES + view.getUint16(i + 20, true) === length) return source.size - length + i;
  }
  throw zipError(source, "the directory at the end of a zip archive", "none: the file is truncated");
}

function findZip64End(source: ByteSource, directoryEnd: number): number | undefined {
  if (directoryEnd < 20) return undefined;
  const cursor = new ByteCursor(source, directoryEnd - 20, directoryEnd, "zip64 locator");
  if (cursor.u32() !== ZIP64_LOCATOR) return undefined;
  const disk = cursor.u32();
  const offset = cursor.u64();
  if (disk !== 0 || cursor.u32() > 1) throw zipError(source, "an archive in one piece", "an archive in several parts");
  return offset;
}

function readZip64End(source: ByteSource, at: number): Directory {
  if (at > source.size) throw zipError(source, "the zip64 directory's end within the file", `byte ${at}`);
  const cursor = new ByteCursor(source, at, source.size, "end of the zip64 directory");
  if (cursor.u32() !== ZIP64_DIRECTORY_END) throw zipError(source, `the zip64 directory's end at ${at}`, "other bytes");
  cursor.take(8 + 2 + 2);
  const [disk, directoryDisk, entriesHere, entries] = [cursor.u32(), cursor.u32(), cursor.u64(), cursor.u64()];
  if (disk !== 0 || directoryDisk !== 0 || entriesHere !== entries) {
    throw zipError(source, "an archive in one piece", "an archive in several parts");
  }
  return { entries, size: cursor.u64(), offset: cursor.u64() };
}

/** An entry as the directory describes it. */
interface Listed {
  readonly name: string;
  readonly nameLength: number;
  readonly flags: number;
  readonly method: number;
  readonly crc32: number;
  readonly packed: number;
  readonly size: number;
  /** Position of the entry's own header. */
  readonly header: number;
}

function readListed(source: ByteSource, cursor: ByteCursor): Listed {
  if (cursor.u32() !== DIRECTORY_ENTRY) throw zipError(source, "an entry in the directory", "other bytes");
  cursor.take(2 + 2);
  const [flags, method] = [cursor.u16(), cursor.u16()];
  cursor.take(2 + 2);
  const crc32 = cursor.u32();
  const [packed, size] = [cursor.u32(), cursor.u32()];
  const [nameLength, extraLength, commentLength] = [cursor.u16(), cursor.u16(), cursor.u16()];
  cursor.take(2 + 2 + 4);
  const header = cursor.u32();
  if (nameLength > LONGEST_NAME) throw zipError(source, `names of at most ${LONGEST_NAME} bytes`, `${nameLength}`);
  const name = latin1(cursor.take(nameLength));
  const extra = cursor.take(extraLength).slice();
  cursor.take(commentLength);
  return { name, nameLength, flags, method, crc32, ...withZip64(extra, { size, packed, header }) };
}

/** @param limit the start of the directory, before which all data lies */
function locateStored(source: ByteSource, listed: Listed, limit: number): number {
  const start = locatePacked(source, listed, limit, [STORED]);
  const { name, packed, size } = listed;
  if (packed === size) return start;
  throw zipError(source, `${size} bytes, stored`, `${packed}`, `entry ${quote(name)}`);
}

/** The position of an entry's bytes. @param methods that the caller can read */
function locatePacked(
  source: ByteSource,
  { name, nameLength, flags, method, packed, header }: Listed,
  limit: number,
  methods: readonly number[],
): number {
  const error = (expected: string, got: string) => zipError(source, expected, got, `entry ${quote(name)}`);
  if ((flags & ENCRYPTED) !== 0) throw error("an entry that is not encrypted", "an encrypted entry");
  if (!methods.includes(method)) {
    const stored = "an uncompressed entry, as torch.save writes";
    throw error(methods.length === 1 ? stored : "an entry that is stored or deflated", methodName(method));
  }
  if (header + LOCAL_HEADER_BYTES > limit) throw error(`a header before byte ${limit}`, `byte ${header}`);
  const cursor = new ByteCursor(source, header, header + LOCAL_HEADER_BYTES, "zip entry");
  if (cursor.u32() !== LOCAL_HEADER) throw error(`a header at ${header}`, "other bytes");
  cursor.take(22);
  // The header repeats the name; its extra field may be longer than the directory's, since PyTorch aligns data with it.
  const [localName, extra] = [cursor.u16(), cursor.u16()];
  if (localName !== nameLength) throw error(`a name of ${nameLength} bytes in its header`, `${localName}`);
  const repeated = latin1(source.bytes(header + LOCAL_HEADER_BYTES, localName));
  if (repeated !== name) throw error("the same name in its header", quote(repeated));
  const start = header + LOCAL_HEADER_BYTES + localName + extra;
  if (start + packed > limit) throw error(`data before byte ${limit}, where the directory is`, `${packed} at ${start}`);
  return start;
}

const latin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** Replaces 32-bit numbers whose bits are all ones by 64-bit ones from the extra field, in this order. */
function withZip64<T extends Record<string, number>>(extra: Uint8Array, numbers: T): T {
  const view = new DataView(extra.buffer, extra.byteOffset, extra.byteLength);
  const wide: number[] = [];
  for (let at = 0; at + 4 <= extra.length; ) {
    const end = at + 4 + view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === ZIP64_EXTRA) {
      for (let i = at + 4; i + 8 <= Math.min(end, extra.length); i += 8) {
        wide.push(view.getUint32(i + 4, true) * 2 ** 32 + view.getUint32(i, true));
      }
    }
    at = end;
  }
  const entries = Object.entries(numbers).map(([key, n]) => [key, n === 0xffffffff ? (wide.shift() ?? n) : n]);
  return Object.fromEntries(entries) as T;
}

/** @param where a part of the archive. */
function zipError(source: ByteSource, expected: string, got: string, where?: string): CheckpointError {
  const op = `reading ${source.name}: zip archive${where === undefined ? "" : `, ${where}`}`;
  return new CheckpointError({ op, expected, got });
}
