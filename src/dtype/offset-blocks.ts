import { f16ToF32 } from "./floats.js";

/**
 * Block formats of GGUF beside q8_0 and q4_0 that are only read (ggml's dequantize_row_q4_1, _q5_0 and _q5_1 define
 * them): 32 neighbouring values share an f16 scale and, in the `_1` types, an f16 offset. All products are exact in
 * double precision, so storing a value rounds once, as ggml does.
 */
export const OFFSET_BLOCKS = {
  /** Scale, offset, then 16 bytes: value i is the low half of byte i, value 16 + i the high half. */
  q4_1: { block: 32, bytes: 20 },
  /** Scale, 32 fifth bits, then as q4_1; value = scale · (bits - 16). */
  q5_0: { block: 32, bytes: 22 },
  /** Scale, offset, 32 fifth bits, then as q4_1. */
  q5_1: { block: 32, bytes: 24 },
} as const;

export type OffsetBlock = keyof typeof OFFSET_BLOCKS;

export function decodeOffsetBlocks(dtype: OffsetBlock, bytes: Uint8Array, dst: Float32Array): void {
  const size = OFFSET_BLOCKS[dtype].bytes;
  const fifth = dtype !== "q4_1";
  const scales = halves(bytes, 0, size);
  const offsets = dtype === "q5_0" ? undefined : halves(bytes, 2, size);
  const levels = size - 16;
  const zero = dtype === "q5_0" ? 16 : 0;
  for (let b = 0, at = 0, i = 0; at < bytes.length; b++, at += size, i += 32) {
    const scale = scales[b]!;
    // Adding -0 changes nothing, not even the sign of a zero.
    const offset = offsets === undefined ? -0 : offsets[b]!;
    let high = fifth ? readU32(bytes, at + levels - 4) : 0;
    for (let j = 0; j < 16; j++, high >>>= 1) {
      const byte = bytes[at + levels + j]!;
      dst[i + j] = scale * (((byte & 15) | ((high & 1) << 4)) - zero) + offset;
      dst[i + j + 16] = scale * (((byte >> 4) | ((high >>> 12) & 16)) - zero) + offset;
    }
  }
}

/** The f16 numbers at byte `at` of every `size` bytes. */
export function halves(bytes: Uint8Array, at: number, size: number): Float32Array {
  const bits = new Uint16Array(bytes.length / size);
  for (let b = 0, i = at; b < bits.length; b++, i += size) bits[b] = bytes[i]! | (bytes[i + 1]! << 8);
  const values = new Float32Array(bits.length);
  f16ToF32(bits, values);
  return values;
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
