import { CheckpointError } from "../../errors.js";
import { VarintReader } from "./protobuf.js";

/**
 * Decompresses Snappy's raw format (github.com/google/snappy, format_description.txt): the length, then literals and
 * copies of earlier output.
 *
 * @param longest maximum length of the result, in bytes
 * @param op the action, for errors.
 * @throws {CheckpointError} malformed, or longer.
 */
export function snappyDecompress(bytes: Uint8Array, longest: number, op: string): Uint8Array {
  const damaged = (expected: string, got: string) => new CheckpointError({ op: `${op}: Snappy`, expected, got });
  const reader = new VarintReader(bytes, `${op}: Snappy`);
  const size = reader.varint();
  if (size > longest) throw damaged(`at most ${longest} bytes`, `${size}`);
  const out = new Uint8Array(size);
  let at = 0;
  while (!reader.done) {
    const tag = reader.take(1)[0]!;
    const copy = (tag & 3) !== 0 && readCopy(tag, reader);
    const length = copy ? copy.length : literalLength(tag, reader);
    if (length > size - at) throw damaged(`${size} bytes`, "more");
    if (copy) {
      if (copy.offset === 0 || copy.offset > at)
        throw damaged(`a copy from the preceding ${at} bytes`, `${copy.offset}`);
      // Byte by byte: a copy may overlap its own output and so repeat it.
      for (let i = 0; i < length; i++) out[at + i] = out[at + i - copy.offset]!;
    } else out.set(reader.take(length), at);
    at += length;
  }
  if (at !== size) throw damaged(`${size} bytes`, `${at}`);
  return out;
}

/** The length is in the tag, or in the 1 to 4 bytes after it. */
function literalLength(tag: number, reader: VarintReader): number {
  const length = tag >>> 2;
  return (length < 60 ? length : littleEndian(reader.take(length - 59))) + 1;
}

function readCopy(tag: number, reader: VarintReader): { length: number; offset: number } {
  const kind = tag & 3;
  if (kind === 1) return { length: 4 + ((tag >>> 2) & 7), offset: ((tag >>> 5) << 8) | reader.take(1)[0]! };
  return { length: 1 + (tag >>> 2), offset: littleEndian(reader.take(kind === 2 ? 2 : 4)) };
}

function littleEndian(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}
