import { f16ToF32 } from "./floats.js";

/**
 * Block formats of GGUF that are read but never written. All products are exact in double precision, so storing a value
 * rounds once, as in ggml.
 */

/**
 * Blocks of 32 consecutive values that share an f16 scale and, in the `_1` types, an f16 offset (ggml's
 * dequantize_row_q4_1, _q5_0 and _q5_1 define them).
 */
export const OFFSET_BLOCKS = {
  /** Scale, offset, then 16 bytes: value i is the low half of byte i, value 16 + i the high half. */
  q4_1: { block: 32, bytes: 20 },
  /** Scale, 32 fifth bits, then as in q4_1; value = scale · (bits - 16). */
  q5_0: { block: 32, bytes: 22 },
  /** Scale, offset, 32 fifth bits, then as in q4_1. */
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

/**
 * ggml's k-quants (dequantize_row_q2_K … q6_K define them): 256 consecutive values share one or two f16 factors, and
 * each 16 or 32 of them a small integer scale (and offset) that the factors multiply.
 */
export const K_QUANTS = {
  /** 16 bytes (scale, offset · 16), 64 bytes of levels, f16 factors of scales and of offsets. */
  q2_K: { block: 256, bytes: 84 },
  /** 32 bytes of third bits, 64 of levels, 12 of 6-bit scales, an f16 factor. */
  q3_K: { block: 256, bytes: 110 },
  /** f16 factors of scales and of offsets, 12 bytes of those in 6 bits, 128 of levels. */
  q4_K: { block: 256, bytes: 144 },
  /** Like q4_K, with 32 bytes of fifth bits before the levels. */
  q5_K: { block: 256, bytes: 176 },
  /** 128 bytes of levels' low halves, 64 of their upper two bits, 16 signed scales, an f16 factor. */
  q6_K: { block: 256, bytes: 210 },
} as const;

export type KQuant = keyof typeof K_QUANTS;

/** Decodes whole blocks. */
export function decodeKQuant(dtype: KQuant, bytes: Uint8Array, dst: Float32Array): void {
  DECODERS[dtype](bytes, dst);
}

const DECODERS: Readonly<Record<KQuant, (bytes: Uint8Array, dst: Float32Array) => void>> = {
  q2_K: decodeQ2K,
  q3_K: decodeQ3K,
  q4_K: (bytes, dst) => decodeQ45K(bytes, dst, false),
  q5_K: (bytes, dst) => decodeQ45K(bytes, dst, true),
  q6_K: decodeQ6K,
};

/** Two halves of 128 values; in each, 4 layers of two bits in the same 32 bytes; in each layer, 2 groups of 16 values. */
function decodeQ2K(bytes: Uint8Array, dst: Float32Array): void {
  const size = K_QUANTS.q2_K.bytes;
  const factors = halves(bytes, 80, size);
  const offsetFactors = halves(bytes, 82, size);
  for (let b = 0, at = 0, i = 0; at < bytes.length; b++, at += size) {
    for (let group = 0; group < 16; group++) {
      const packed = bytes[at + group]!;
      const scale = factors[b]! * (packed & 15);
      const offset = offsetFactors[b]! * (packed >> 4);
      const levels = at + 16 + 32 * (group >> 3) + 16 * (group & 1);
      const shift = group & 6;
      for (let j = 0; j < 16; j++) dst[i++] = scale * ((bytes[levels + j]! >> shift) & 3) - offset;
    }
  }
}

/** The layout of q2_K; bit `group >> 1` of byte j of the first 32 is the third bit of a level from -4 to 3. */
function decodeQ3K(bytes: Uint8Array, dst: Float32Array): void {
  const size = K_QUANTS.q3_K.bytes;
  const factors = halves(bytes, 108, size);
  for (let b = 0, at = 0, i = 0; at < bytes.length; b++, at += size) {
    for (let group = 0; group < 16; group++) {
      const scales = at + 96;
      const low = (bytes[scales + (group & 7)]! >> (group < 8 ? 0 : 4)) & 15;
      const high = (bytes[scales + 8 + (group & 3)]! >> (2 * (group >> 2))) & 3;
      const scale = factors[b]! * ((low | (high << 4)) - 32);
      const thirds = at + 16 * (group & 1);
      const levels = thirds + 32 + 32 * (group >> 3);
      const shift = group & 6;
      const third = group >> 1;
      for (let j = 0; j < 16; j++) {
        const level = ((bytes[levels + j]! >> shift) & 3) | (((bytes[thirds + j]! >> third) & 1) << 2);
        dst[i++] = scale * (level - 4);
      }
    }
  }
}

/** 8 groups of 32 values; two groups share 32 bytes, one in the low halves and one in the high halves. */
function decodeQ45K(bytes: Uint8Array, dst: Float32Array, fifth: boolean): void {
  const size = fifth ? K_QUANTS.q5_K.bytes : K_QUANTS.q4_K.bytes;
  const factors = halves(bytes, 0, size);
  const offsetFactors = halves(bytes, 2, size);
  for (let b = 0, at = 0, i = 0; at < bytes.length; b++, at += size) {
    const start = at + size - 128;
    for (let group = 0; group < 8; group++) {
      const scale = factors[b]! * sixBits(bytes, at + 4, group, 0);
      const offset = offsetFactors[b]! * sixBits(bytes, at + 4, group, 1);
      const levels = start + 32 * (group >> 1);
      const shift = 4 * (group & 1);
      for (let j = 0; j < 32; j++) {
        const high = fifth ? ((bytes[at + 16 + j]! >> group) & 1) << 4 : 0;
        dst[i++] = scale * (((bytes[levels + j]! >> shift) & 15) | high) - offset;
      }
    }
  }
}

/**
 * Scale (`which` 0) or offset (1) of a group. The first four scales are the low six bits of bytes 0 to 3, the first four
 * offsets those of bytes 4 to 7; of the others four bits are a half of bytes 8 to 11, and two the upper bits of 0 to 7.
 */
function sixBits(bytes: Uint8Array, at: number, group: number, which: 0 | 1): number {
  if (group < 4) return bytes[at + 4 * which + group]! & 63;
  const low = (bytes[at + 4 + group]! >> (4 * which)) & 15;
  return low | ((bytes[at + 4 * which + group - 4]! >> 6) << 4);
}

/** Two halves of 128 values, each 4 groups of 32: low, low, high, high halves of 64 bytes; 2 upper bits in 32 bytes. */
function decodeQ6K(bytes: Uint8Array, dst: Float32Array): void {
  const size = K_QUANTS.q6_K.bytes;
  const factors = halves(bytes, 208, size);
  for (let b = 0, at = 0, i = 0; at < bytes.length; b++, at += size) {
    for (let group = 0; group < 16; group++) {
      const scale = factors[b]! * ((bytes[at + 192 + group]! << 24) >> 24);
      const quarter = (group >> 1) & 3;
      const levels = at + 64 * (group >> 3) + 32 * (quarter & 1) + 16 * (group & 1);
      const upper = at + 128 + 32 * (group >> 3) + 16 * (group & 1);
      const shift = 4 * (quarter >> 1);
      for (let j = 0; j < 16; j++) {
        const level = ((bytes[levels + j]! >> shift) & 15) | (((bytes[upper + j]! >> (2 * quarter)) & 3) << 4);
        dst[i++] = scale * (level - 32);
      }
    }
  }
}

/** The f16 numbers at byte `at` of every `size` bytes. */
function halves(bytes: Uint8Array, at: number, size: number): Float32Array {
  const bits = new Uint16Array(bytes.length / size);
  for (let b = 0, i = at; b < bits.length; b++, i += size) bits[b] = bytes[i]! | (bytes[i + 1]! << 8);
  const values = new Float32Array(bits.length);
  f16ToF32(bits, values);
  return values;
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
