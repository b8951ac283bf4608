import { CheckpointError } from "../errors.js";
import { quote } from "../util/quote.js";
import type { ByteSource } from "./byte-source.js";
import { isJsonObject, type JsonObject, MAX_JSON_BYTES, parseJsonObject } from "./strict-json.js";

/**
 * The safetensors format (github.com/huggingface/safetensors, README "Format"): a u64 header length N, N bytes of JSON
 * that map each tensor's name to its dtype, shape and byte range, then the data, which those ranges cover without gap or
 * overlap. This reader accepts nothing else.
 */

/** Bits per element. Types narrower than a byte are packed, and a tensor of them must fill whole bytes. */
export const SAFETENSORS_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type SafetensorsDtype = keyof typeof SAFETENSORS_BITS;

export const METADATA_KEY = "__metadata__";

export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly source: ByteSource;
  /** Position in the file of the first byte. */
  readonly offset: number;
  readonly byteLength: number;
  /** The bytes: a view if the file is mapped or in memory, else read from disk on every access. */
  readonly data: Uint8Array;
}

export interface SafetensorsFile {
  readonly source: ByteSource;
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors in the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
}

/**
 * Reads and checks the header; no tensor data is read.
 *
 * @throws {CheckpointError} this is not a complete, well-formed safetensors file.
 */
export function readSafetensors(source: ByteSource): SafetensorsFile {
  const header = readHeader(source);
  const dataStart = 8 + header.length;
  const { [METADATA_KEY]: metadata, ...entries } = header.json;
  const tensors = Object.entries(entries).map(([name, entry]) => readEntry(source, name, entry, dataStart));
  tensors.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  checkTiling(source, tensors, dataStart);
  return {
    source,
    metadata: readMetadata(source, metadata),
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
  };
}

function readHeader(source: ByteSource): { length: number; json: JsonObject } {
  const op = `reading ${source.name}: safetensors header`;
  if (source.size < 8) {
    throw new CheckpointError({ op, expected: "8 bytes of header length", got: `a file of ${source.size} bytes` });
  }
  const prefix = source.bytes(0, 8);
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (length > MAX_JSON_BYTES) {
    throw new CheckpointError({ op, expected: `a header of at most ${MAX_JSON_BYTES} bytes`, got: `${length}` });
  }
  if (8 + length > source.size) {
    throw new CheckpointError({
      op,
      expected: `a header of ${length} bytes`,
      got: `${source.size - 8}`,
      hint: "The file is truncated, or not safetensors",
    });
  }
  const bytes = source.bytes(8, length);
  if (bytes[0] !== 0x7b) {
    const got = length === 0 ? "an empty header" : `byte ${bytes[0]}`;
    throw new CheckpointError({ op, expected: "JSON that starts with {", got });
  }
  return { length, json: parseJsonObject(bytes, op) };
}

function readMetadata(source: ByteSource, metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {};
  const op = `reading ${source.name}: ${METADATA_KEY}`;
  if (!isJsonObject(metadata)) throw new CheckpointError({ op, expected: "an object", got: quote(metadata) });
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value === "string") continue;
    throw new CheckpointError({ op: `${op}: ${quote(key)}`, expected: "a string", got: quote(value) });
  }
  return metadata as Record<string, string>;
}

function readEntry(source: ByteSource, name: string, entry: unknown, dataStart: number): SafetensorsTensor {
  const op = `reading ${source.name}: tensor ${quote(name)}`;
  if (!isJsonObject(entry)) {
    throw new CheckpointError({ op, expected: "an object with dtype, shape and data_offsets", got: quote(entry) });
  }
  const dtype = readDtype(entry.dtype, op);
  const shape = readShape(entry.shape, op);
  const [begin, end] = readOffsets(entry.data_offsets, op);
  const expected = byteLengthOf(dtype, shape, op);
  if (expected !== end - begin) {
    throw new CheckpointError({
      op,
      expected: `${expected} bytes for ${dtype} ${quote(shape)}`,
      got: `data_offsets ${quote([begin, end])}, ${end - begin} bytes`,
    });
  }
  const available = source.size - dataStart;
  if (end > available) {
    throw new CheckpointError({
      op,
      expected: `${end} bytes of data`,
      got: `${available}`,
      hint: "The file is truncated",
    });
  }
  const offset = dataStart + begin;
  return {
    name,
    dtype,
    shape,
    source,
    offset,
    byteLength: expected,
    get data() {
      return source.bytes(offset, expected);
    },
  };
}

function readDtype(value: unknown, op: string): SafetensorsDtype {
  if (typeof value === "string" && Object.hasOwn(SAFETENSORS_BITS, value)) return value as SafetensorsDtype;
  const known = Object.keys(SAFETENSORS_BITS).join(", ");
  throw new CheckpointError({ op: `${op}: dtype`, expected: `one of ${known}`, got: quote(value) });
}

/** JSON.parse turns `-0` into a negative zero and rounds integers above 2^53; neither is a size. */
function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

function readShape(value: unknown, op: string): number[] {
  if (Array.isArray(value) && value.every(isSize)) return value;
  const expected = "a list of integers from 0 to 2^53 - 1";
  throw new CheckpointError({ op: `${op}: shape`, expected, got: quote(value) });
}

function readOffsets(value: unknown, op: string): readonly [begin: number, end: number] {
  if (Array.isArray(value) && value.length === 2 && value.every(isSize) && value[0] <= value[1]) {
    return [value[0], value[1]];
  }
  const expected = "[begin, end] with 0 ≤ begin ≤ end < 2^53";
  throw new CheckpointError({ op: `${op}: data_offsets`, expected, got: quote(value) });
}

/** @throws {CheckpointError} the shape takes more than 2^53 bits, or not whole bytes. */
export function byteLengthOf(dtype: SafetensorsDtype, shape: readonly number[], op: string): number {
  let bits: number = SAFETENSORS_BITS[dtype];
  for (const dim of shape) {
    bits *= dim;
    if (bits > Number.MAX_SAFE_INTEGER) {
      throw new CheckpointError({ op: `${op}: shape`, expected: "fewer than 2^50 bytes", got: quote(shape) });
    }
  }
  if (bits % 8 !== 0) {
    throw new CheckpointError({ op: `${op}: shape`, expected: "whole bytes", got: `${bits} bits of ${dtype}` });
  }
  return bits / 8;
}

/** Checks that the tensors, sorted by position, cover the data from its first byte to the file's last. */
function checkTiling(source: ByteSource, tensors: readonly SafetensorsTensor[], dataStart: number): void {
  let end = dataStart;
  let before = "the header";
  for (const { name, offset, byteLength } of tensors) {
    if (offset !== end) {
      throw new CheckpointError({
        op: `reading ${source.name}: tensor ${quote(name)}`,
        expected: `data from byte ${end - dataStart}, where ${before} ends`,
        got: `${offset - dataStart}`,
        hint: offset < end ? "The two overlap" : "The bytes between them belong to no tensor",
      });
    }
    end = offset + byteLength;
    before = `tensor ${quote(name)}`;
  }
  if (end !== source.size) {
    throw new CheckpointError({
      op: `reading ${source.name}`,
      expected: `${end} bytes, the end of ${before}`,
      got: `${source.size}`,
      hint: "The bytes after it belong to no tensor",
    });
  }
}
