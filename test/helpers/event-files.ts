/** A minimal reader of TensorBoard event files, which verifies every checksum. */
import assert from "node:assert/strict";
import { maskedCrc32c } from "../../src/train/tensorboard.js";

export interface EventMessage {
  readonly wallTime: number;
  readonly step: number;
  readonly fileVersion: string | undefined;
  /** SessionLog START. */
  readonly restart: boolean;
  /** Scalars, and texts of the text plugin, by tag. */
  readonly values: readonly (readonly [tag: string, value: number | string])[];
}

export function readEvents(file: Uint8Array): EventMessage[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const events: EventMessage[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(view.getBigUint64(at, true));
    assert.equal(
      view.getUint32(at + 8, true),
      maskedCrc32c(file.subarray(at, at + 8)),
      `checksum of a length at ${at}`,
    );
    const data = file.subarray(at + 12, at + 12 + length);
    assert.equal(view.getUint32(at + 12 + length, true), maskedCrc32c(data), `checksum of a record at ${at}`);
    events.push(readEvent(data));
    at += length + 16;
  }
  return events;
}

function readEvent(data: Uint8Array): EventMessage {
  const event = fields(data);
  const summary = event.get(5)?.[0] as Uint8Array | undefined;
  const session = event.get(7)?.[0] as Uint8Array | undefined;
  return {
    wallTime: float(event.get(1)![0]!),
    step: Number(event.get(2)?.[0] ?? 0),
    fileVersion: event.has(3) ? text(event.get(3)![0]!) : undefined,
    restart: session !== undefined && fields(session).get(1)?.[0] === 1n,
    values: summary ? (fields(summary).get(1) ?? []).map((value) => readValue(value as Uint8Array)) : [],
  };
}

function readValue(data: Uint8Array): [string, number | string] {
  const value = fields(data);
  const tag = text(value.get(1)![0]!);
  if (value.has(2)) return [tag, float(value.get(2)![0]!)];
  const metadata = fields(value.get(9)![0] as Uint8Array);
  assert.equal(text(fields(metadata.get(1)![0] as Uint8Array).get(1)![0]!), "text", "the plugin");
  const tensor = fields(value.get(8)![0] as Uint8Array);
  assert.equal(tensor.get(1)![0], 7n, "DT_STRING");
  return [tag, text(tensor.get(8)![0]!)];
}

type Field = bigint | Uint8Array;

/** Fields of a protocol buffer by number: varints as numbers, all else as bytes. */
function fields(data: Uint8Array): Map<number, Field[]> {
  const found = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = data[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const key = Number(varint());
    const wire = key & 7;
    let value: Field;
    if (wire === 0) value = varint();
    else {
      const length = wire === 1 ? 8 : wire === 5 ? 4 : Number(varint());
      value = data.subarray(at, at + length);
      at += length;
    }
    const number = key >>> 3;
    found.set(number, [...(found.get(number) ?? []), value]);
  }
  return found;
}

function float(bytes: Field): number {
  const { buffer, byteOffset, byteLength } = bytes as Uint8Array;
  const view = new DataView(buffer, byteOffset, byteLength);
  return byteLength === 8 ? view.getFloat64(0, true) : view.getFloat32(0, true);
}

const text = (bytes: Field): string => new TextDecoder().decode(bytes as Uint8Array);
