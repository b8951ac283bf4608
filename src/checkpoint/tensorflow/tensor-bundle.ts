import { CheckpointError } from "../../errors.js";
import { crc32c, maskCrc32c } from "../../util/crc32c.js";
import { quote } from "../../util/quote.js";
import type { ByteSource } from "../byte-source.js";
import type { RawTensor } from "../raw-tensor.js";
import { SAFETENSORS_BITS, type SafetensorsDtype } from "../safetensors.js";
import { protoFields } from "./protobuf.js";
import { readTable } from "./sstable.js";

/**
 * TensorFlow's checkpoints since 2016, "tensor bundles" (tensorflow/core/protobuf/tensor_bundle.proto): `P.index`, a
 * sorted table from names to each tensor's position, and the tensors' bytes in `P.data-00000-of-00001` and so on.
 */

/** DataType (tensorflow/core/framework/types.proto) by safetensors' names; only numbers of whole bytes. */
const DTYPES: Readonly<Record<number, SafetensorsDtype>> = {
  1: "F32",
  2: "F64",
  3: "I32",
  4: "U8",
  5: "I16",
  6: "I8",
  8: "C64",
  9: "I64",
  10: "BOOL",
  14: "BF16",
  17: "U16",
  19: "F16",
  22: "U32",
  23: "U64",
};

/** The key of the header, which comes before all names. */
const HEADER = "";

export interface BundleTensor {
  readonly name: string;
  /**
   * The tensor's position in a data file.
   *
   * @throws {CheckpointError} it does not hold numbers, is in slices, or lies outside its file.
   */
  locate(): RawTensor;
}

/**
 * Reads the index; of the data files only the sizes are checked.
 *
 * @param openData opens a data file by the end of its name, `.data-00000-of-00001`. Called once for each.
 * @throws {CheckpointError} the index is malformed.
 */
export function readTensorBundle(index: ByteSource, openData: (suffix: string) => ByteSource): BundleTensor[] {
  const table = readTable(index);
  const header = table.get(HEADER);
  if (header === undefined) throw bundleError(index, "a header", "no header");
  const shards = readHeader(index, header);
  const files = Array.from({ length: shards }, (_, i) => openData(`.data-${digits(i)}-of-${digits(shards)}`));
  table.delete(HEADER);
  return [...table].map(([name, bytes]) => ({ name, locate: () => locate(index, files, name, bytes) }));
}

const digits = (n: number): string => String(n).padStart(5, "0");

/** A checkpoint written by many machines has one file from each; no GPT-2 was trained on so many. */
const MAX_SHARDS = 256;

/** BundleHeaderProto: num_shards 1, endianness 2, version 3. @returns the number of data files. */
function readHeader(index: ByteSource, bytes: Uint8Array): number {
  let shards = 0;
  for (const { number, value = 0 } of protoFields(bytes, `reading ${index.name}: header`)) {
    if (number === 1) shards = value;
    if (number === 2 && value !== 0) throw bundleError(index, "little-endian numbers", "big-endian numbers");
  }
  if (shards >= 1 && shards <= MAX_SHARDS) return shards;
  throw bundleError(index, `1 to ${MAX_SHARDS} data files`, `${shards}`);
}

interface Entry {
  dtype: number;
  shape: number[];
  shard: number;
  offset: number;
  size: number;
  checksum: number;
  sliced: boolean;
}

/** BundleEntryProto: dtype 1, shape 2, shard_id 3, offset 4, size 5, crc32c 6, slices 7. Zeros are omitted. */
function readEntry(bytes: Uint8Array, op: string): Entry {
  const entry: Entry = { dtype: 0, shape: [], shard: 0, offset: 0, size: 0, checksum: 0, sliced: false };
  for (const { number, value = 0, bytes: part } of protoFields(bytes, op)) {
    if (number === 1) entry.dtype = value;
    else if (number === 2) entry.shape = readShape(part, op);
    else if (number === 3) entry.shard = value;
    else if (number === 4) entry.offset = value;
    else if (number === 5) entry.size = value;
    else if (number === 6) entry.checksum = value;
    else if (number === 7) entry.sliced = true;
  }
  return entry;
}

/** TensorShapeProto: dim 2, each with its size 1. */
function readShape(bytes: Uint8Array, op: string): number[] {
  const shape: number[] = [];
  for (const dim of protoFields(bytes, op)) {
    if (dim.number !== 2) continue;
    let size = 0;
    for (const { number, value = 0 } of protoFields(dim.bytes, op)) if (number === 1) size = value;
    shape.push(size);
  }
  return shape;
}

function locate(index: ByteSource, files: readonly ByteSource[], name: string, bytes: Uint8Array): RawTensor {
  const op = `reading ${index.name}: tensor ${quote(name)}`;
  const entry = readEntry(bytes, op);
  const { shape, offset, size } = entry;
  const refuse = (expected: string, got: string, hint?: string): never => {
    throw new CheckpointError({ op, expected, got, ...(hint !== undefined && { hint }) });
  };
  const dtype = DTYPES[entry.dtype] ?? refuse("a type of numbers", `TensorFlow's type ${entry.dtype}`);
  if (entry.sliced) refuse("a tensor in one piece", "a tensor in slices");
  const source = files[entry.shard] ?? refuse(`data file 0 to ${files.length - 1}`, `${entry.shard}`);
  const expected = shape.reduce((n, d) => n * d, SAFETENSORS_BITS[dtype] / 8);
  if (expected !== size) refuse(`${expected} bytes for ${dtype} ${quote(shape)}`, `${size}`);
  if (!(offset + size <= source.size)) {
    refuse(`${offset + size} bytes in ${source.name}`, `${source.size}`, "It is truncated");
  }
  const check = () => checkData(source, name, entry);
  return { name, dtype, shape, source, offset, byteLength: size, check };
}

/** Number of bytes whose checksum is computed at a time. */
const CHUNK = 2 ** 20;

function checkData(source: ByteSource, name: string, { offset, size, checksum }: Entry): void {
  let crc = 0;
  for (let at = 0; at < size; at += CHUNK) {
    crc = crc32c(source.bytes(offset + at, Math.min(CHUNK, size - at)), crc);
  }
  if (maskCrc32c(crc) === checksum) return;
  throw new CheckpointError({
    op: `reading ${source.name}: tensor ${quote(name)}`,
    expected: `data with the checksum ${checksum}`,
    got: `${maskCrc32c(crc)}`,
    hint: "The file is damaged",
  });
}

function bundleError(index: ByteSource, expected: string, got: string): CheckpointError {
  return new CheckpointError({ op: `reading ${index.name}: tensor bundle`, expected, got });
}
