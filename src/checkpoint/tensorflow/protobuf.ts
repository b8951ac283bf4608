import { CheckpointError } from "../../errors.js";

/**
 * Protocol buffers as a list of fields (protobuf.dev, "Encoding"), for messages whose definition the caller knows.
 * Groups, which no message here has, are refused.
 */

export interface ProtoField {
  readonly number: number;
  /** A varint, fixed32 or fixed64, rounded above 2^53; undefined for bytes. */
  readonly value: number | undefined;
  /** Text, bytes or a message; empty for numbers. */
  readonly bytes: Uint8Array;
}

/** @param op the action, for errors. */
export function* protoFields(bytes: Uint8Array, op: string): Generator<ProtoField, void, void> {
  const reader = new VarintReader(bytes, op);
  while (!reader.done) {
    const tag = reader.varint();
    const number = Math.floor(tag / 8);
    const type = tag % 8;
    if (type === 0) yield { number, value: reader.varint(), bytes: NONE };
    else if (type === 1) yield { number, value: reader.fixed(8), bytes: NONE };
    else if (type === 5) yield { number, value: reader.fixed(4), bytes: NONE };
    else if (type === 2) yield { number, value: undefined, bytes: reader.take(reader.varint()) };
    else throw new CheckpointError({ op, expected: "a field of a protocol buffer", got: `type ${type}` });
  }
}

const NONE = new Uint8Array(0);

/** Reads variable-length integers, and data preceded by them as its length, from bytes in memory. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  readonly #op: string;
  position = 0;

  constructor(bytes: Uint8Array, op: string) {
    this.#bytes = bytes;
    this.#op = op;
  }

  get done(): boolean {
    return this.position === this.#bytes.length;
  }

  /** Reads 7 bits per byte, lowest first; rounded above 2^53. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.take(1)[0]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new CheckpointError({ op: this.#op, expected: "a number of at most 10 bytes", got: "a longer number" });
  }

  /** Reads a little-endian number. */
  fixed(length: 4 | 8): number {
    const bytes = this.take(length);
    return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
  }

  take(length: number): Uint8Array {
    const left = this.#bytes.length - this.position;
    if (length > left) throw new CheckpointError({ op: this.#op, expected: `${length} more bytes`, got: `${left}` });
    this.position += length;
    return this.#bytes.subarray(this.position - length, this.position);
  }
}
