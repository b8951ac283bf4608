import { crc32c, maskCrc32c } from "../util/crc32c.js";

/**
 * TensorBoard's event files: TFRecord framing (tensorflow/core/lib/io/record_writer.h) around Event messages
 * (tensorflow/core/util/event.proto, framework/summary.proto), of which only the fields that training writes are encoded.
 */

export const maskedCrc32c = (bytes: Uint8Array): number => maskCrc32c(crc32c(bytes));

/** One record: u64 length, its checksum, the data, its checksum; little-endian. */
export function tfRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return record;
}

type Bytes = readonly number[];

/** Protocol buffers: a number, 7 bits at a time, lowest first. */
function varint(value: number): Bytes {
  const bytes = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

const int = (field: number, value: number): Bytes => [...varint(field * 8), ...varint(value)];
const double = (field: number, value: number): Bytes => [
  ...varint(field * 8 + 1),
  ...new Uint8Array(Float64Array.of(value).buffer),
];
const float = (field: number, value: number): Bytes => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];
const message = (field: number, ...parts: Bytes[]): Bytes => {
  const body = parts.flat();
  return [...varint(field * 8 + 2), ...varint(body.length), ...body];
};
const string = (field: number, text: string): Bytes => message(field, [...new TextEncoder().encode(text)]);

/** Event { double wall_time = 1; int64 step = 2; … }, framed. */
function event(seconds: number, step: number, content: Bytes): Uint8Array {
  // Zeros are left out in protocol buffers.
  const number = step === 0 ? [] : int(2, step);
  return tfRecord(Uint8Array.from([...double(1, seconds), ...number, ...content]));
}

/** The first record of every file. @param seconds since 1970 */
export function versionRecord(seconds: number): Uint8Array {
  return event(seconds, 0, string(3, "brain.Event:2"));
}

/** A restart: readers discard step `step` and later ones. SessionLog { status = START }. */
export function restartRecord(seconds: number, step: number): Uint8Array {
  return event(seconds, step, message(7, int(1, 1)));
}

/** Summary { repeated Value { tag = 1; simple_value = 2 } }. */
export function scalarsRecord(seconds: number, step: number, values: Readonly<Record<string, number>>): Uint8Array {
  const list = Object.entries(values).map(([tag, value]) => message(1, string(1, tag), float(2, value)));
  return event(seconds, step, message(5, ...list));
}

const DT_STRING = 7;
const DATA_CLASS_TENSOR = 2;

/** Value { tag = 1; tensor = 8 { dtype = 1; tensor_shape = 2 { dim = 2 { size = 1 } }; string_val = 8 }; metadata = 9 }. */
export function textRecord(seconds: number, step: number, tag: string, text: string): Uint8Array {
  const shape = message(2, message(2, int(1, 1)));
  const tensor = message(8, int(1, DT_STRING), shape, string(8, text));
  const metadata = message(9, message(1, string(1, "text")), int(4, DATA_CLASS_TENSOR));
  return event(seconds, step, message(5, message(1, string(1, tag), tensor, metadata)));
}
