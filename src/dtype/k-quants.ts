import { halves } from "./offset-blocks.js";

/**
 * ggml's k-quants (dequantize_row_q2_K … q6_K define them), only read: 256 neighbouring values have one or two f16
 * numbers, and groups of 16 or 32 of them a small integer scale (and offset) that those multiply. All products are exact
 * in double precision, so storing a value rounds once, as ggml does.
 */
export const K_QUANTS = {
  /** 16 bytes (scale, offset · 16), 64 bytes of levels, f16 factors of scales and of offsets. */
  q2_K: { block: 256, bytes: 84 },
  /** 32 bytes of third bits, 64 of levels, 12 of 6-bit scales, an f16 factor. */
  q3_K: { block: 256, bytes: 110 },
  /** f16 factors of scales and of offsets, 12 bytes of those in 6 bits, 128 of levels. */
  q4_K: { block: 256, bytes: 144 },
  /** As q4_K with 32 bytes of fifth bits before the levels. */
  q5_K: { block: 256, bytes: 176 },
  /** 128 bytes of levels' low halves, 64 of their upper two bits, 16 signed scales, an f16 factor. */
  q6_K: { block: 256, bytes: 210 },
} as const;

export type KQuant = keyof typeof K_QUANTS;

/** float32 values of whole blocks. */
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

/** Halves of 128 values, in them 4 layers of two bits in the same 32 bytes, in those 2 groups of 16 values. */
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

/** Laid out as q2_K; bit `group >> 1` of byte j of the first 32 is the third of the level, which runs from -4 to 3. */
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

/** 8 groups of 32 values; a pair of groups has the low and the high halves of the same 32 bytes. */
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
 * Scale (`which` 0) or offset (1) of a group: bytes 0 to 3 have the first four scales, 4 to 7 the first four offsets, in
 * their low six bits; the others have four bits each in a half of bytes 8 to 11 and two in the bits left over above.
 */
function sixBits(bytes: Uint8Array, at: number, group: number, which: 0 | 1): number {
  if (group < 4) return bytes[at + 4 * which + group]! & 63;
  const low = (bytes[at + 4 + group]! >> (4 * which)) & 15;
  return low | ((bytes[at + 4 * which + group - 4]! >> 6) << 4);
}

/** Halves of 128 values, in them 4 quarters of 32: low, low, high, high halves of 64 bytes; 2 upper bits in 32 bytes. */
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
