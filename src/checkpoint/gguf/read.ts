import { isStoredDtype, STORED_DTYPES, type StoredDtype, storedBytes } from "../../dtype/stored.js";
import { CheckpointError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import { ByteCursor } from "../byte-cursor.js";
import type { ByteSource } from "../byte-source.js";
import { GgufMetadata, readString, scanMetadata } from "./metadata.js";
import {
  ALIGNMENT_KEY,
  DEFAULT_ALIGNMENT,
  GGUF_MAGIC,
  GGUF_VERSION,
  MAX_DIMENSIONS,
  MAX_NAME_BYTES,
  tensorTypeName,
} from "./types.js";

/** A tensor as the file describes it; it is a RawTensor of pretrained/match-tensors.ts. */
export interface GgufTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  /** Row length last; the file has it first. */
  readonly shape: readonly number[];
  readonly source: ByteSource;
  /** Position in the file of its first byte. */
  readonly offset: number;
  readonly byteLength: number;
}

export interface GgufFile {
  readonly source: ByteSource;
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Minimum number of bytes that describe a metadata entry and a tensor. They bound the counts in a file. */
const LEAST_ENTRY = 8 + 4 + 1;
const LEAST_TENSOR = 8 + 4 + 4 + 8;

/**
 * Reads and checks the header: every length, type and range, that names differ, that tensors lie within the file and do
 * not overlap. No tensor data is read.
 *
 * @throws {CheckpointError} not GGUF of version 2 or 3 in little-endian, malformed, or with a tensor of an unsupported type.
 */
export function readGguf(source: ByteSource): GgufFile {
  const op = `reading ${source.name}: GGUF header`;
  const cursor = new ByteCursor(source, 0, source.size, "GGUF header");
  const magic = cursor.u32();
  if (magic !== GGUF_MAGIC) throw new CheckpointError({ op, expected: "GGUF", got: `0x${magic.toString(16)}` });
  const version = readVersion(cursor, op);
  const tensorCount = readCount(cursor, LEAST_TENSOR, `${op}: tensors`);
  const entryCount = readCount(cursor, LEAST_ENTRY, `${op}: entries of metadata`);
  const metadata = new GgufMetadata(source, scanMetadata(source, cursor, entryCount));
  const alignment = readAlignment(metadata);
  const infos = Array.from({ length: tensorCount }, (_, i) => readTensorInfo(source, cursor, i));
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  return { source, version, metadata, tensors: placeTensors(source, infos, dataStart, alignment) };
}

function readVersion(cursor: ByteCursor, op: string): number {
  const version = cursor.u32();
  if (version === 2 || version === GGUF_VERSION) return version;
  // A small number with its bytes swapped.
  const swapped = (version & 0xffff) === 0 && version !== 0;
  throw new CheckpointError({
    op,
    expected: "version 2 or 3, little-endian",
    got: swapped ? "a big-endian file" : `version ${version}`,
    hint: "Convert the model with a current llama.cpp",
  });
}

function readCount(cursor: ByteCursor, leastBytes: number, op: string): number {
  const count = cursor.u64();
  if (count * leastBytes <= cursor.left) return count;
  throw new CheckpointError({
    op,
    expected: `as many as fit into the remaining ${cursor.left} bytes`,
    got: `${count}`,
  });
}

function readAlignment(metadata: GgufMetadata): number {
  const alignment = metadata.number(ALIGNMENT_KEY) ?? DEFAULT_ALIGNMENT;
  if (Number.isInteger(alignment) && alignment >= 1 && alignment <= 2 ** 30 && Number.isInteger(Math.log2(alignment))) {
    return alignment;
  }
  throw metadata.error(ALIGNMENT_KEY, "a power of two");
}

interface TensorInfo {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /** Offset from the start of the data. */
  readonly offset: number;
  readonly byteLength: number;
}

function readTensorInfo(source: ByteSource, cursor: ByteCursor, index: number): TensorInfo {
  const name = readString(cursor, `reading ${source.name}: the name of tensor ${index}`);
  const op = `reading ${source.name}: tensor ${quote(name)}`;
  // UTF-8 is never shorter than this.
  if (name.length > MAX_NAME_BYTES) {
    const expected = `a name of at most ${MAX_NAME_BYTES} bytes`;
    throw new CheckpointError({ op, expected, got: `one of ${name.length} characters` });
  }
  const dimensions = cursor.u32();
  if (dimensions > MAX_DIMENSIONS) {
    throw new CheckpointError({ op, expected: `at most ${MAX_DIMENSIONS} dimensions`, got: `${dimensions}` });
  }
  const shape = Array.from({ length: dimensions }, () => cursor.u64()).reverse();
  const dtype = readTensorType(cursor, op);
  const offset = cursor.u64();
  return { name, dtype, shape, offset, byteLength: byteLengthOf(dtype, shape, op) };
}

function readTensorType(cursor: ByteCursor, op: string): StoredDtype {
  const name = tensorTypeName(cursor.u32());
  if (isStoredDtype(name)) return name;
  throw new CheckpointError({
    op,
    expected: Object.keys(STORED_DTYPES).join(", "),
    got: `the type ${name}`,
    hint: "Quantize the model to one of these types",
  });
}

function byteLengthOf(dtype: StoredDtype, shape: readonly number[], op: string): number {
  const { block } = STORED_DTYPES[dtype];
  const row = shape.at(-1) ?? 1;
  if (row % block !== 0) {
    throw new CheckpointError({ op, expected: `rows of whole blocks of ${block} values in ${dtype}`, got: `${row}` });
  }
  const count = shape.reduce((n, d) => n * d, 1);
  if (Number.isSafeInteger(count * 8)) return storedBytes(dtype, count);
  throw new CheckpointError({ op, expected: "a size that fits into a file", got: quote(shape) });
}

function placeTensors(
  source: ByteSource,
  infos: readonly TensorInfo[],
  dataStart: number,
  alignment: number,
): Map<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (const { offset: relative, ...info } of infos) {
    const op = `reading ${source.name}: tensor ${quote(info.name)}`;
    if (tensors.has(info.name)) throw new CheckpointError({ op, expected: "one tensor of this name", got: "several" });
    if (relative % alignment !== 0) {
      throw new CheckpointError({ op, expected: `an offset that is a multiple of ${alignment}`, got: `${relative}` });
    }
    const offset = dataStart + relative;
    if (offset + info.byteLength > source.size) {
      const expected = `bytes ${offset} to ${offset + info.byteLength}`;
      const hint = "The file is truncated or damaged";
      throw new CheckpointError({ op, expected, got: `a file of ${source.size} bytes`, hint });
    }
    tensors.set(info.name, { ...info, source, offset });
  }
  checkDisjoint(source, [...tensors.values()]);
  return tensors;
}

function checkDisjoint(source: ByteSource, tensors: GgufTensor[]): void {
  tensors.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  for (let i = 1; i < tensors.length; i++) {
    const [before, after] = [tensors[i - 1]!, tensors[i]!];
    if (before.offset + before.byteLength <= after.offset) continue;
    throw new CheckpointError({
      op: `reading ${source.name}: tensor ${quote(after.name)}`,
      expected: "bytes that no other tensor has",
      got: `bytes of ${quote(before.name)}`,
    });
  }
}
