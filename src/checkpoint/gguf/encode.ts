import { type StoredDtype, storedBytes } from "../../dtype/stored.js";
import { CheckpointError } from "../../errors.js";
import {
  DEFAULT_ALIGNMENT,
  GGUF_MAGIC,
  GGUF_VERSION,
  MAX_NAME_BYTES,
  tensorTypeNumber,
  VALUE_BYTES,
  VALUE_TYPES,
  type ValueType,
} from "./types.js";

type NumberType = Exclude<ValueType, "bool" | "string" | "array" | "u64" | "i64">;

/** One entry of metadata: key, type, value. */
export type MetadataEntry =
  | readonly [key: string, type: NumberType, value: number]
  | readonly [key: string, type: "bool", value: boolean]
  | readonly [key: string, type: "string", value: string]
  | readonly [key: string, type: "i32[]", value: ArrayLike<number>]
  | readonly [key: string, type: "string[]", value: readonly string[]];

export interface GgufTensorSpec {
  readonly name: string;
  readonly dtype: StoredDtype;
  /** Row length last. */
  readonly shape: readonly number[];
}

/** The layout of a file, known before any data is, so that tensors can be written in any order. */
export interface GgufLayout {
  /** The file's first bytes, up to the first tensor. */
  readonly header: Uint8Array;
  /** Size of the whole file, with the padding after its last tensor. */
  readonly size: number;
  /** Each tensor's range in the file. */
  readonly ranges: ReadonlyMap<string, { readonly offset: number; readonly byteLength: number }>;
}

/** Not the size of a cache line: given another alignment, llama.cpp's own programs write files that they can't read. */
const padded = (length: number): number => Math.ceil(length / DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT;

/**
 * Lays out a file of version 3, tensors in the given order and without gaps, as llama.cpp requires.
 *
 * @throws {CheckpointError} a repeated key or name, or a name that is too long for ggml.
 */
export function layoutGguf(entries: readonly MetadataEntry[], tensors: readonly GgufTensorSpec[]): GgufLayout {
  const out = new ByteWriter();
  checkNames(
    "metadata",
    entries.map(([key]) => key),
  );
  checkNames(
    "tensor",
    tensors.map(({ name }) => name),
  );
  out.u32(GGUF_MAGIC);
  out.u32(GGUF_VERSION);
  out.u64(tensors.length);
  out.u64(entries.length);
  for (const entry of entries) writeEntry(out, entry);
  const offsets = new Map<string, { begin: number; byteLength: number }>();
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    const byteLength = storedBytes(
      dtype,
      shape.reduce((n, d) => n * d, 1),
    );
    out.string(name);
    out.u32(shape.length);
    for (const dimension of [...shape].reverse()) out.u64(dimension);
    out.u32(tensorTypeNumber(dtype));
    out.u64(end);
    offsets.set(name, { begin: end, byteLength });
    end += padded(byteLength);
  }
  const header = out.bytes(padded(out.length));
  const ranges = new Map(
    [...offsets].map(([name, { begin, byteLength }]) => [name, { offset: header.length + begin, byteLength }]),
  );
  return { header, size: header.length + end, ranges };
}

function checkNames(what: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    const op = `writing GGUF: ${what} ${name}`;
    if (seen.has(name)) throw new CheckpointError({ op, expected: "a unique name", got: "a repeated name" });
    seen.add(name);
    const { length } = new TextEncoder().encode(name);
    if (what !== "tensor" || length <= MAX_NAME_BYTES) continue;
    throw new CheckpointError({ op, expected: `a name of at most ${MAX_NAME_BYTES} bytes`, got: `${length} bytes` });
  }
}

function writeEntry(out: ByteWriter, [key, type, value]: MetadataEntry): void {
  out.string(key);
  if (type === "string[]" || type === "i32[]") {
    out.type("array");
    out.type(type === "i32[]" ? "i32" : "string");
    out.u64(value.length);
    if (type === "string[]") for (const text of value) out.string(text);
    else for (let i = 0; i < value.length; i++) out.number("i32", value[i]!);
    return;
  }
  out.type(type);
  if (type === "string") out.string(value);
  else if (type === "bool") out.number("u8", Number(value));
  else out.number(type, value);
}

/** A growing array of bytes, written as little-endian. */
class ByteWriter {
  #view = new DataView(new ArrayBuffer(2 ** 16));
  length = 0;

  /** The content, padded with zeros to `size`. */
  bytes(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    bytes.set(new Uint8Array(this.#view.buffer, 0, this.length));
    return bytes;
  }

  u32(value: number): void {
    this.number("u32", value);
  }

  u64(value: number): void {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  type(type: ValueType): void {
    this.u32(VALUE_TYPES.indexOf(type));
  }

  number(type: NumberType, value: number): void {
    const at = this.#grow(VALUE_BYTES[type]);
    const view = this.#view;
    if (type === "u8") view.setUint8(at, value);
    else if (type === "i8") view.setInt8(at, value);
    else if (type === "u16") view.setUint16(at, value, true);
    else if (type === "i16") view.setInt16(at, value, true);
    else if (type === "u32") view.setUint32(at, value, true);
    else if (type === "i32") view.setInt32(at, value, true);
    else if (type === "f32") view.setFloat32(at, value, true);
    else view.setFloat64(at, value, true);
  }

  string(text: string): void {
    const bytes = utf8.encode(text);
    this.u64(bytes.length);
    const at = this.#grow(bytes.length);
    new Uint8Array(this.#view.buffer).set(bytes, at);
  }

  #grow(by: number): number {
    const at = this.length;
    this.length += by;
    if (this.length > this.#view.byteLength) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(new Uint8Array(this.#view.buffer, 0, at));
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

const utf8 = new TextEncoder();
