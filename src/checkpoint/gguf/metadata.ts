import { CheckpointError } from "../../errors.js";
import { quote } from "../../util/quote.js";
import { ByteCursor } from "../byte-cursor.js";
import type { ByteSource } from "../byte-source.js";
import { VALUE_BYTES, VALUE_TYPES, type ValueType } from "./types.js";

/** A scalar value. Integers that a double can't hold exactly are bigints. */
export type GgufScalar = number | bigint | boolean | string;
export type GgufValue = GgufScalar | readonly GgufValue[];

/** The position of a value in its file. Values are read on demand: a vocabulary is most of a header. */
export interface Entry {
  readonly type: ValueType;
  readonly start: number;
  readonly end: number;
}

/** Maximum depth of nested arrays. */
const MAX_DEPTH = 4;

/** The metadata of a file: keys, and values read on demand. */
export class GgufMetadata {
  readonly #source: ByteSource;
  readonly #entries: ReadonlyMap<string, Entry>;

  constructor(source: ByteSource, entries: ReadonlyMap<string, Entry>) {
    this.#source = source;
    this.#entries = entries;
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  typeOf(key: string): ValueType | undefined {
    return this.#entries.get(key)?.type;
  }

  /** @throws {CheckpointError} a text is not UTF-8, or the file can't be read. */
  get(key: string): GgufValue | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const what = `metadata ${quote(key)}`;
    return readValue(new ByteCursor(this.#source, entry.start, entry.end, what), entry.type, this.#op(key));
  }

  /** @throws {CheckpointError} the value is not a string. */
  string(key: string): string | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === "string") return value;
    throw this.error(key, "a string");
  }

  /** A number of any type. @throws {CheckpointError} the value is not a number, or too large to be exact. */
  number(key: string): number | undefined {
    // The type is checked before the value is read: it may be a large array.
    const type = this.typeOf(key);
    if (type === "string" || type === "array" || type === "bool") throw this.error(key, "a number");
    const value = this.get(key);
    if (value === undefined || typeof value === "number") return value;
    throw this.error(key, "a smaller number");
  }

  /** {@link number} of a key that must be present. @throws {CheckpointError} it is missing, or its value is not a number. */
  needNumber(key: string, expected = "a number"): number {
    const value = this.number(key);
    if (value === undefined) throw this.error(key, expected);
    return value;
  }

  /** {@link needNumber} as the intended decimal: in single precision, 1e-5 is 9.99999974737875e-6. */
  needDecimal(key: string): number {
    const value = this.needNumber(key);
    const decimal = Number(value.toPrecision(7));
    return Math.fround(decimal) === value ? decimal : value;
  }

  boolean(key: string): boolean | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.error(key, "true or false");
  }

  /** @throws {CheckpointError} the value is not an array of strings. */
  strings(key: string): readonly string[] | undefined {
    return this.#array(key, "strings", (value) => typeof value === "string") as readonly string[] | undefined;
  }

  /** @throws {CheckpointError} the value is not an array of numbers. */
  numbers(key: string): readonly number[] | undefined {
    return this.#array(key, "numbers", (value) => typeof value === "number") as readonly number[] | undefined;
  }

  /** The raw bytes of a value. */
  bytes(key: string): Uint8Array | undefined {
    const entry = this.#entries.get(key);
    return entry && this.#source.bytes(entry.start, entry.end - entry.start);
  }

  /** An error about a value that the caller finds wrong. */
  error(key: string, expected: string, hint?: string): CheckpointError {
    const type = this.typeOf(key);
    const got = type === undefined ? "no such key" : type === "array" ? "an array" : quote(asText(this.get(key)!));
    return new CheckpointError({ op: this.#op(key), expected, got, ...(hint !== undefined && { hint }) });
  }

  #array(key: string, of: string, fits: (value: GgufValue) => boolean): readonly GgufValue[] | undefined {
    const value = this.typeOf(key) === "array" ? this.get(key) : undefined;
    if (Array.isArray(value) && value.every(fits)) return value as readonly GgufValue[];
    if (this.typeOf(key) === undefined) return undefined;
    throw this.error(key, `an array of ${of}`);
  }

  #op(key: string): string {
    return `reading ${this.#source.name}: metadata ${quote(key)}`;
  }
}

const asText = (value: GgufValue): unknown => (typeof value === "bigint" ? `${value}` : value);

/** Scans the entries and checks types and lengths, without reading values. */
export function scanMetadata(source: ByteSource, cursor: ByteCursor, count: number): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (let i = 0; i < count; i++) {
    const op = `reading ${source.name}: metadata entry ${i}`;
    const key = readString(cursor, op);
    if (key === "" || entries.has(key)) {
      throw new CheckpointError({ op, expected: "a unique key", got: quote(key) });
    }
    const type = readType(cursor, `${op} (${quote(key)})`);
    const start = cursor.position;
    skipValue(cursor, type, `${op} (${quote(key)})`, 0);
    entries.set(key, { type, start, end: cursor.position });
  }
  return entries;
}

function readType(cursor: ByteCursor, op: string): ValueType {
  const number = cursor.u32();
  const type = VALUE_TYPES[number];
  if (type !== undefined) return type;
  throw new CheckpointError({ op, expected: `a type from 0 to ${VALUE_TYPES.length - 1}`, got: `${number}` });
}

/** An array's type and count, for which enough bytes must be left. */
function readArrayHeader(cursor: ByteCursor, op: string, depth: number): { type: ValueType; count: number } {
  if (depth === MAX_DEPTH) {
    throw new CheckpointError({ op, expected: `arrays nested at most ${MAX_DEPTH} deep`, got: "deeper arrays" });
  }
  const type = readType(cursor, op);
  const count = cursor.u64();
  if (count * VALUE_BYTES[type] <= cursor.left) return { type, count };
  const expected = `an array that fits into the remaining ${cursor.left} bytes`;
  throw new CheckpointError({ op, expected, got: `${count} values of type ${type}` });
}

function skipValue(cursor: ByteCursor, type: ValueType, op: string, depth: number): void {
  if (type === "string") cursor.skip(cursor.u64());
  else if (type !== "array") cursor.skip(VALUE_BYTES[type]);
  else {
    const { type: of, count } = readArrayHeader(cursor, op, depth);
    if (of === "string") cursor.skipTexts(count);
    else if (of === "array") for (let i = 0; i < count; i++) skipValue(cursor, of, op, depth + 1);
    else cursor.skip(count * VALUE_BYTES[of]);
  }
}

function readValue(cursor: ByteCursor, type: ValueType, op: string): GgufValue {
  if (type === "string") return readString(cursor, op);
  if (type !== "array") return readNumber(cursor.view(VALUE_BYTES[type]), type, op);
  const { type: of, count } = readArrayHeader(cursor, op, 0);
  const values: GgufValue[] = [];
  for (let i = 0; i < count; i++) values.push(readValue(cursor, of, op));
  return values;
}

function readNumber(view: DataView, type: Exclude<ValueType, "string" | "array">, op: string): GgufScalar {
  if (type === "u8") return view.getUint8(0);
  if (type === "i8") return view.getInt8(0);
  if (type === "u16") return view.getUint16(0, true);
  if (type === "i16") return view.getInt16(0, true);
  if (type === "u32") return view.getUint32(0, true);
  if (type === "i32") return view.getInt32(0, true);
  if (type === "f32") return view.getFloat32(0, true);
  if (type === "f64") return view.getFloat64(0, true);
  if (type === "u64") return exact(view.getBigUint64(0, true));
  if (type === "i64") return exact(view.getBigInt64(0, true));
  const byte = view.getUint8(0);
  if (byte <= 1) return byte === 1;
  throw new CheckpointError({ op, expected: "0 or 1 for a boolean", got: `${byte}` });
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws {CheckpointError} not UTF-8, or longer than the rest of the file. */
export function readString(cursor: ByteCursor, op: string): string {
  const bytes = cursor.take(cursor.u64());
  try {
    // Copied if it is shared memory, which decoders refuse.
    return utf8.decode(bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice());
  } catch (cause) {
    throw new CheckpointError({ op, expected: "text in UTF-8", got: "other bytes", cause });
  }
}
