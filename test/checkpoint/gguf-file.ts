/** GGUF files with arbitrary contents, right or wrong, written by the format's definition. */

/** The numbers of the value types. */
export const TYPE = { u8: 0, i8: 1, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10 } as const;

const utf8 = new TextEncoder();

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function u64(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

export function f32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return bytes;
}

export function join(...parts: (Uint8Array | readonly Uint8Array[])[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.flat() as Uint8Array[]));
}

/** A false length, if given. */
export function string(text: string | Uint8Array, length?: number | bigint): Uint8Array {
  const bytes = typeof text === "string" ? utf8.encode(text) : text;
  return join(u64(length ?? bytes.length), bytes);
}

export const entry = (key: string, type: number, value: Uint8Array): Uint8Array => join(string(key), u32(type), value);
export const textEntry = (key: string, text: string): Uint8Array => entry(key, TYPE.string, string(text));
export const numberEntry = (key: string, value: number): Uint8Array => entry(key, TYPE.u32, u32(value));

export function arrayEntry(key: string, type: number, count: number | bigint, values: Uint8Array): Uint8Array {
  return entry(key, TYPE.array, join(u32(type), u64(count), values));
}

export interface RawTensorInfo {
  readonly name: string | Uint8Array;
  /** As in the file: row length first. */
  readonly dimensions: readonly (number | bigint)[];
  readonly type?: number;
  readonly offset?: number | bigint;
}

export function tensorInfo({ name, dimensions, type = 0, offset = 0 }: RawTensorInfo): Uint8Array {
  return join(string(name), u32(dimensions.length), dimensions.map(u64), u32(type), u64(offset));
}

export interface RawGguf {
  readonly magic?: string;
  readonly version?: number;
  readonly entries?: readonly Uint8Array[];
  readonly entryCount?: number | bigint;
  readonly tensors?: readonly Uint8Array[];
  readonly tensorCount?: number | bigint;
  /** Bytes after the header, which ends at a multiple of `alignment`. */
  readonly data?: Uint8Array;
  readonly alignment?: number;
}

export function rawGguf(file: RawGguf): Uint8Array {
  const { magic = "GGUF", version = 3, entries = [], tensors = [], data = new Uint8Array(0), alignment = 32 } = file;
  const counts = [u64(file.tensorCount ?? tensors.length), u64(file.entryCount ?? entries.length)];
  const header = join(utf8.encode(magic), u32(version), counts, entries, tensors);
  const padding = new Uint8Array((alignment - (header.length % alignment)) % alignment);
  return join(header, padding, data);
}
