import { crc32 } from "../util/crc32c.js";
import { quote } from "../util/quote.js";
import { ByteCursor } from "./byte-cursor.js";
import type { ByteSource } from "./byte-source.js";
import { pickleCursor, readPickle } from "./pickle.js";
import type { RawTensor } from "./raw-tensor.js";
import { SAFETENSORS_BITS } from "./safetensors.js";
import {
  type TorchNames,
  type TorchStorage,
  type TorchTensor,
  torchError,
  torchNames,
  torchStorage,
} from "./torch-names.js";
import { readZip, type ZipEntry } from "./zip.js";

/**
 * Files of torch.save: since PyTorch 1.6 a zip archive with one pickle (data.pkl) and one entry for each storage; before
 * that, consecutive pickles followed by the storages (torch/serialization.py, `_save` and `_legacy_save`).
 */

export interface TorchFile {
  readonly source: ByteSource;
  /** The saved object, whose tensors are {@link TorchTensor}. */
  readonly value: unknown;
  /**
   * The position of a tensor's values.
   *
   * @throws {CheckpointError} they lie outside the file, or are contiguous neither by rows nor by columns.
   */
  locate(name: string, tensor: TorchTensor): RawTensor;
}

/** The long integer with which a file of the old form starts. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_VERSION = 1001;

/**
 * Reads the pickle; no storage is read.
 *
 * @throws {CheckpointError} this is not a file of torch.save, or it holds more than tensors and plain values.
 */
export function readTorchFile(source: ByteSource, options: TorchNames = {}): TorchFile {
  const zip = source.size >= 4 && source.bytes(0, 2).every((byte, i) => byte === "PK".charCodeAt(i));
  return zip ? readArchive(source, options) : readLegacy(source, options);
}

// ---------------------------------------------------------------- since PyTorch 1.6

function readArchive(source: ByteSource, options: TorchNames): TorchFile {
  const entries = readZip(source);
  const [pickle, folder] = findPickle(source, entries);
  if (entries.has(`${folder}constants.pkl`)) {
    const hint = "Save the model's state dict with torch.save";
    throw torchError(source.name, "a file of torch.save", "a TorchScript program", hint);
  }
  checkByteOrder(source, entries.get(`${folder}byteorder`));
  checkBytes(source, pickle);
  const start = pickle.locate();
  const value = readPickle(pickleCursor(source, start, start + pickle.size), {
    findGlobal: torchNames(source.name, options),
    findPersistent: (id) => torchStorage(source.name, id),
  });
  const verified = new Set<string>();
  const storageOf = (storage: TorchStorage): Range => {
    const entry = entries.get(`${folder}data/${storage.key}`);
    const check = () => {
      // Several tensors may share a storage.
      if (!verified.has(storage.key)) checkBytes(source, entry!);
      verified.add(storage.key);
    };
    if (entry) return { start: entry.locate(), size: entry.size, check };
    throw torchError(source.name, `an entry ${quote(`${folder}data/${storage.key}`)}`, "no such entry");
  };
  return { source, value, locate: (name, tensor) => locate(source, name, tensor, storageOf) };
}

/** Everything is in one folder of the archive, named after the saved file. */
function findPickle(source: ByteSource, entries: ReadonlyMap<string, ZipEntry>): [ZipEntry, folder: string] {
  for (const [name, entry] of entries) {
    const [, folder] = /^([^/]+\/)data\.pkl$/.exec(name) ?? [];
    if (folder !== undefined) return [entry, folder];
  }
  const [first = "nothing"] = entries.keys();
  throw torchError(source.name, "a zip archive of torch.save, with data.pkl", `an archive with ${quote(first)}`);
}

/** Number of bytes whose checksum is computed at a time. */
const CHUNK = 2 ** 20;

/** @throws {CheckpointError} an entry's checksum differs from the one in the archive's directory. */
function checkBytes(source: ByteSource, { name, size, crc32: expected, locate }: ZipEntry): void {
  // PyTorch can be set to omit checksums.
  if (expected === 0) return;
  const start = locate();
  let sum = 0;
  for (let at = 0; at < size; at += CHUNK) sum = crc32(source.bytes(start + at, Math.min(CHUNK, size - at)), sum);
  if (sum === expected) return;
  throw torchError(source.name, `${quote(name)} with the checksum ${expected}`, `${sum}`, "The file is damaged");
}

/** Written since PyTorch 2.1. */
function checkByteOrder(source: ByteSource, entry: ZipEntry | undefined): void {
  if (entry === undefined) return;
  const order = String.fromCharCode(...source.bytes(entry.locate(), Math.min(entry.size, 16)));
  if (order !== "little") throw torchError(source.name, "little-endian numbers", `byteorder ${quote(order)}`);
}

// ---------------------------------------------------------------- before

function readLegacy(source: ByteSource, options: TorchNames): TorchFile {
  const storages = new Map<string, TorchStorage>();
  const findPersistent = (id: unknown): TorchStorage => {
    const storage = torchStorage(source.name, id);
    const known = storages.get(storage.key);
    if (known === undefined) storages.set(storage.key, storage);
    return known ?? storage;
  };
  const findGlobal = torchNames(source.name, options);
  const cursor = pickleCursor(source, 0, source.size);
  if (readPickle(cursor, { findGlobal }) !== LEGACY_MAGIC) {
    const hint = "Only pickles written by torch.save are read";
    throw torchError(source.name, "the magic number of torch.save", "another pickle", hint);
  }
  const version = readPickle(cursor, { findGlobal });
  if (version !== LEGACY_VERSION) {
    throw torchError(source.name, `version ${LEGACY_VERSION} of torch.save`, quote(version));
  }
  const system = readPickle(cursor, { findGlobal });
  if (!(system instanceof Map && system.get("little_endian") === true)) {
    throw torchError(source.name, "little-endian numbers", "big-endian numbers");
  }
  const value = readPickle(cursor, { findGlobal, findPersistent });
  const ranges = legacyRanges(source, storages, readPickle(cursor, { findGlobal }), cursor.position);
  const storageOf = ({ key }: TorchStorage): Range => {
    const range = ranges.get(key);
    if (range) return range;
    throw torchError(source.name, `the storage ${quote(key)}`, "no such storage");
  };
  return { source, value, locate: (name, tensor) => locate(source, name, tensor, storageOf) };
}

/** After the list of keys follow, for each, the number of elements in 64 bits, and the elements. */
function legacyRanges(
  source: ByteSource,
  storages: ReadonlyMap<string, TorchStorage>,
  keys: unknown,
  start: number,
): Map<string, Range> {
  if (!Array.isArray(keys)) throw torchError(source.name, "the list of storages", quote(keys));
  const ranges = new Map<string, Range>();
  let at = start;
  for (const key of keys) {
    const storage = storages.get(key);
    if (storage === undefined || ranges.has(key)) {
      throw torchError(source.name, "each storage once", `${quote(key)}, unknown or repeated`);
    }
    const count = new ByteCursor(source, at, at + 8, `storage ${quote(key)}`).u64();
    if (count !== storage.count) {
      throw torchError(source.name, `${storage.count} elements in storage ${quote(key)}`, `${count}`);
    }
    const size = count * widthOf(storage);
    ranges.set(key, { start: at + 8, size });
    at += 8 + size;
  }
  if (at !== source.size) {
    const hint = at > source.size ? "The file is truncated" : "There are bytes after the last storage";
    throw torchError(source.name, `${at} bytes`, `${source.size}`, hint);
  }
  return ranges;
}

// ---------------------------------------------------------------- both

/** The bytes of the file that hold a storage. */
interface Range {
  readonly start: number;
  readonly size: number;
  /** Verifies its checksum, if there is one. */
  readonly check?: () => void;
}

/** All of PyTorch's types fill whole bytes. */
const widthOf = ({ dtype }: { dtype: TorchStorage["dtype"] }): number => SAFETENSORS_BITS[dtype] / 8;

function locate(
  source: ByteSource,
  name: string,
  tensor: TorchTensor,
  storageOf: (storage: TorchStorage) => Range,
): RawTensor {
  const { dtype, shape, strides, storage } = tensor;
  const file = `${source.name}: tensor ${quote(name)}`;
  const order = orderOf(shape, strides);
  if (order === undefined) {
    const hint = "It is a view of another tensor: save it as .contiguous()";
    throw torchError(file, "values contiguous by rows or by columns", `strides ${quote(strides)}`, hint);
  }
  const width = widthOf(tensor);
  const range = storageOf(storage);
  if (range.size !== storage.count * widthOf(storage)) {
    throw torchError(file, `a storage of ${storage.count} ${storage.dtype}`, `${range.size} bytes`);
  }
  const start = tensor.offset * width;
  const byteLength = shape.reduce((n, d) => n * d, width);
  if (!(start + byteLength <= range.size)) {
    const expected = `values within its storage of ${range.size} bytes`;
    throw torchError(file, expected, `${byteLength} bytes at ${start}`);
  }
  if (range.start + range.size > source.size) {
    throw torchError(file, `${range.size} bytes at ${range.start}`, `a file of ${source.size}`, "It is truncated");
  }
  const transposed = order === "columns" && { transposed: true };
  const { check } = range;
  return {
    name,
    dtype,
    shape,
    source,
    offset: range.start + start,
    byteLength,
    ...transposed,
    ...(check && { check }),
  };
}

/** The order of the values, or undefined if they are not contiguous. Strides of dimensions of one element mean nothing. */
function orderOf(shape: readonly number[], strides: readonly number[]): "rows" | "columns" | undefined {
  if (shape.includes(0) || isRowMajor(shape, strides)) return "rows";
  return shape.length === 2 && isRowMajor([...shape].reverse(), [...strides].reverse()) ? "columns" : undefined;
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let size = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== size) return false;
    size *= shape[i]!;
  }
  return true;
}
