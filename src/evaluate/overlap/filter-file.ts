import { type FileHandle, open } from "node:fs/promises";
import { DataError } from "../../errors.js";
import { writeFileAtomically } from "../../util/atomic-write.js";
import { crc32c } from "../../util/crc32c.js";
import { readError } from "../../util/file-errors.js";
import type { BloomShape } from "./bloom-filter.js";
import { BloomFilter } from "./bloom-filter.js";
import type { NgramFilter } from "./ngram-filter.js";
import { NORMALIZATION_VERSION } from "./words.js";

/** Bytes per read call, below the limit of 2^31 - 1. */
const CHUNK_BYTES = 2 ** 26;

/**
 * Writes a filter to a file, atomically.
 *
 * @throws {DataError} the file can't be written.
 */
export async function saveNgramFilter(path: string, { bloom, ...rest }: NgramFilter): Promise<void> {
  const parts = bloom.parts.map(bytesOf);
  const checksum = parts.reduce((sum, bytes) => crc32c(bytes, sum), 0);
  const header = writeFilterHeader({ ...rest, shape: bloom.shape, checksum });
  await writeFileAtomically(
    path,
    async (file) => {
      await file.write(header, 0);
      let at = header.length;
      for (const bytes of parts) {
        await file.write(bytes, at);
        at += bytes.length;
      }
    },
    DataError,
  );
}

/**
 * Reads a filter written by {@link saveNgramFilter}.
 *
 * @throws {DataError} it can't be read, is no filter, has another version, or is damaged.
 */
export async function loadNgramFilter(path: string): Promise<NgramFilter> {
  const op = `reading ${path}`;
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    throw readError(cause, op, "a filter of gpt2 overlap build", DataError);
  }
  try {
    const { size } = await file.stat();
    const start = new Uint8Array(Math.min(FILTER_HEADER_BYTES, size));
    await readAll(file, start, 0);
    const { shape, checksum, ...rest } = readFilterHeader(start, size, path);
    const bloom = new BloomFilter(shape);
    let [at, sum] = [FILTER_HEADER_BYTES, 0];
    for (const part of bloom.parts) {
      const bytes = bytesOf(part);
      await readAll(file, bytes, at);
      sum = crc32c(bytes, sum);
      at += bytes.length;
    }
    if (sum === checksum) return { ...rest, bloom };
    throw new DataError({
      op,
      expected: `bits with the header's checksum, 0x${checksum.toString(16)}`,
      got: `0x${sum.toString(16)}`,
      hint: "The file is damaged",
    });
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw readError(cause, op, "a filter of gpt2 overlap build", DataError);
  } finally {
    await file.close();
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

async function readAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(CHUNK_BYTES, bytes.length - done);
    const { bytesRead } = await file.read(bytes, done, length, position + done);
    if (bytesRead === 0) throw new Error("the end of the file");
    done += bytesRead;
  }
}

/**
 * A filter's file: a header of 96 bytes, then the parts. Little-endian.
 *
 * | at | |
 * |---|---|
 * | 0 | `GPT2NGBF` |
 * | 8 | u32 version of the format, 1 |
 * | 12 | u32 version of the normalization |
 * | 16 | u32 n |
 * | 20 | u32 hashes |
 * | 24 | u32 parts |
 * | 28 | u32 CRC-32C of the parts |
 * | 32 | u64 bits of each part |
 * | 40 | f64 bound of the rate of false positives |
 * | 48 | u64 documents |
 * | 56 | u64 words |
 * | 64 | u64 n-grams |
 * | 72 | zeros |
 * | 92 | u32 CRC-32C of the 92 bytes before |
 */
export const FILTER_HEADER_BYTES = 96;
const MAGIC = "GPT2NGBF";
const FORMAT_VERSION = 1;

/** The contents of a header. */
export interface FilterHeader extends Omit<NgramFilter, "bloom"> {
  readonly shape: BloomShape;
  /** CRC-32C of the parts. */
  readonly checksum: number;
}

export function writeFilterHeader({ n, rate, documents, words, ngrams, shape, checksum }: FilterHeader): Uint8Array {
  const bytes = new Uint8Array(FILTER_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  for (const [i, value] of [FORMAT_VERSION, NORMALIZATION_VERSION, n, shape.hashes, shape.parts, checksum].entries()) {
    view.setUint32(8 + 4 * i, value, true);
  }
  view.setBigUint64(32, BigInt(shape.bits), true);
  view.setFloat64(40, rate, true);
  for (const [i, value] of [documents, words, ngrams].entries()) view.setBigUint64(48 + 8 * i, BigInt(value), true);
  view.setUint32(92, crc32c(bytes.subarray(0, 92)), true);
  return bytes;
}

/**
 * @param fileBytes length of the whole file
 * @throws {DataError} it is no filter, has another version, or is damaged or truncated.
 */
export function readFilterHeader(bytes: Uint8Array, fileBytes: number, path: string): FilterHeader {
  const refuse = (expected: string, got: string, hint?: string) =>
    new DataError({ op: `reading ${path}`, expected, got, ...(hint && { hint }) });
  const rebuild = "Build it again with this version";
  const magic = new TextDecoder("latin1").decode(bytes.subarray(0, 8));
  if (magic !== MAGIC) throw refuse("a filter of n-grams", "another file");
  if (bytes.length < FILTER_HEADER_BYTES) throw refuse(`a header of ${FILTER_HEADER_BYTES} bytes`, `${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, FILTER_HEADER_BYTES);
  const u32 = (at: number) => view.getUint32(at, true);
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  if (u32(8) !== FORMAT_VERSION) throw refuse(`version ${FORMAT_VERSION} of the format`, `${u32(8)}`, rebuild);
  if (u32(92) !== crc32c(bytes.subarray(0, 92))) throw refuse("a header that fits its checksum", "another", rebuild);
  if (u32(12) !== NORMALIZATION_VERSION) {
    throw refuse(`words by version ${NORMALIZATION_VERSION} of the normalization`, `${u32(12)}`, rebuild);
  }
  const header: FilterHeader = {
    n: u32(16),
    rate: view.getFloat64(40, true),
    documents: u64(48),
    words: u64(56),
    ngrams: u64(64),
    shape: { hashes: u32(20), parts: u32(24), bits: u64(32) },
    checksum: u32(28),
  };
  if (!isSound(header)) throw refuse("a filter's sizes", JSON.stringify({ n: header.n, ...header.shape }), rebuild);
  const wanted = FILTER_HEADER_BYTES + (header.shape.parts * header.shape.bits) / 8;
  if (fileBytes !== wanted)
    throw refuse(`${wanted} bytes`, `${fileBytes}`, "The file is truncated, or has bytes too many");
  return header;
}

/** Whether sizes are consistent: a valid checksum does not guarantee that. */
function isSound({ n, rate, documents, words, ngrams, shape: { hashes, parts, bits } }: FilterHeader): boolean {
  const within = (value: number, low: number, high: number) => value >= low && value <= high;
  return (
    within(n, 1, MAX_N) &&
    within(hashes, 1, 1024) &&
    within(parts, 1, 2 ** 20) &&
    within(bits, 32, 2 ** 32) &&
    bits % 32 === 0 &&
    rate > 0 &&
    rate < 1 &&
    [documents, words, ngrams].every(Number.isSafeInteger) &&
    ngrams <= words
  );
}

/** Largest n of a filter. */
export const MAX_N = 1024;
