import { f16ToF32, f32ToF16 } from "./floats.js";

/**
 * The block formats of GGUF that are read and written (ggml's quantize_row_q8_0_ref and quantize_row_q4_0_ref define
 * them): 32 consecutive values of a row share a scale, so a row's length is a multiple of 32. Naively, for each block:
 *
 *     q8_0: scale = max(|x|) / 127;                     byte = round(x / scale)
 *     q4_0: scale = (x furthest from zero) / -8;        level = min(15, floor(x / scale + 8.5))
 *
 * Encoding gives ggml's bytes and decoding its values, bit for bit (test/fixtures/gguf), for all values whose scale f16
 * can hold. It is fast because scales are converted to f16 many at a time.
 */

/** Number of values that share a scale. */
export const BLOCK = 32;

/** Bytes of a block: a scale in f16, then 32 signed bytes; value = scale · byte. */
export const Q8_0_BYTES = 34;
/** Bytes of a block: a scale in f16, then 16 bytes; value i = scale · (low half of byte i - 8), value 16 + i likewise from the high half. */
export const Q4_0_BYTES = 18;

/** Number of blocks whose scales are converted together. */
const GROUP = 512;
const halves = new Uint16Array(GROUP);
const scales = new Float32Array(GROUP);
const inverses = new Float32Array(GROUP);

/** Reads the scales of up to GROUP blocks of `size` bytes from `at` on into `scales`; returns their number. */
function readScales(bytes: Uint8Array, at: number, size: number): number {
  const n = Math.min(GROUP, (bytes.length - at) / size);
  for (let b = 0, i = at; b < n; b++, i += size) halves[b] = bytes[i]! | (bytes[i + 1]! << 8);
  f16ToF32(halves.subarray(0, n), scales);
  return n;
}

/** Writes the first `n` of `scales` into their blocks, and their reciprocals into `inverses`. */
function writeScales(bytes: Uint8Array, at: number, size: number, n: number): void {
  f32ToF16(scales.subarray(0, n), halves);
  for (let b = 0, i = at; b < n; b++, i += size) {
    bytes[i] = halves[b]! & 255;
    bytes[i + 1] = halves[b]! >> 8;
    // As in ggml, the reciprocal of the scale before rounding to f16.
    inverses[b] = scales[b] === 0 ? 0 : 1 / scales[b]!;
  }
}

export function decodeQ8_0(bytes: Uint8Array, dst: Float32Array): void {
  for (let at = 0, i = 0; at < bytes.length; ) {
    const n = readScales(bytes, at, Q8_0_BYTES);
    for (let b = 0; b < n; b++) {
      const scale = scales[b]!;
      at += 2;
      for (const end = at + BLOCK; at < end; at++) dst[i++] = scale * ((bytes[at]! << 24) >> 24);
    }
  }
}

export function encodeQ8_0(src: Float32Array, dst: Uint8Array): void {
  for (let i = 0, at = 0; i < src.length; ) {
    const n = Math.min(GROUP, (src.length - i) / BLOCK);
    for (let b = 0, from = i; b < n; b++, from += BLOCK) scales[b] = largestMagnitude(src, from) / 127;
    writeScales(dst, at, Q8_0_BYTES, n);
    for (let b = 0; b < n; b++) {
      const inverse = inverses[b]!;
      at += 2;
      for (const end = i + BLOCK; i < end; i++) {
        const x = Math.fround(src[i]! * inverse);
        // C's roundf (halves away from zero) without a branch on the sign: | 0 truncates.
        dst[at++] = ((2 * x) | 0) - (x | 0);
      }
    }
  }
}

function largestMagnitude(src: Float32Array, from: number): number {
  let largest = 0;
  for (let i = from; i < from + BLOCK; i++) largest = Math.max(largest, Math.abs(src[i]!));
  return largest;
}

export function decodeQ4_0(bytes: Uint8Array, dst: Float32Array): void {
  for (let at = 0, i = 0; at < bytes.length; ) {
    const n = readScales(bytes, at, Q4_0_BYTES);
    for (let b = 0; b < n; b++, i += BLOCK / 2) {
      const scale = scales[b]!;
      at += 2;
      for (const end = at + BLOCK / 2; at < end; at++, i++) {
        const byte = bytes[at]!;
        dst[i] = scale * ((byte & 15) - 8);
        dst[i + BLOCK / 2] = scale * ((byte >> 4) - 8);
      }
    }
  }
}

export function encodeQ4_0(src: Float32Array, dst: Uint8Array): void {
  for (let i = 0, at = 0; i < src.length; ) {
    const n = Math.min(GROUP, (src.length - i) / BLOCK);
    // The value furthest from zero becomes -8, the end of the range that has no counterpart.
    for (let b = 0, from = i; b < n; b++, from += BLOCK) scales[b] = furthestFromZero(src, from) / -8;
    writeScales(dst, at, Q4_0_BYTES, n);
    for (let b = 0; b < n; b++, i += BLOCK / 2) {
      const inverse = inverses[b]!;
      at += 2;
      for (const end = at + BLOCK / 2; at < end; at++, i++) {
        dst[at] = level4(src[i]! * inverse) | (level4(src[i + BLOCK / 2]! * inverse) << 4);
      }
    }
  }
}

function furthestFromZero(src: Float32Array, from: number): number {
  let extreme = 0;
  for (let i = from; i < from + BLOCK; i++) if (Math.abs(src[i]!) > Math.abs(extreme)) extreme = src[i]!;
  return extreme;
}

function level4(x: number): number {
  const level = Math.fround(Math.fround(x) + 8.5) | 0;
  return level > 15 ? 15 : level;
}

/**
 * Rounds activations in place as integer dot products do: each block of 32 to multiples of a 127th of its largest
 * magnitude, ties to even. It computes in single precision whatever `x` is, so that all backends round in the same way.
 */
export function roundActivations(x: Float32Array | Float64Array): void {
  for (let i = 0; i < x.length; i += BLOCK) {
    let largest = 0;
    for (let j = i; j < i + BLOCK; j++) largest = Math.max(largest, Math.abs(Math.fround(x[j]!)));
    const scale = Math.fround(largest / 127);
    const inverse = largest === 0 ? 0 : Math.fround(127 / largest);
    for (let j = i; j < i + BLOCK; j++) x[j] = scale * roundToEven(Math.fround(Math.fround(x[j]!) * inverse));
  }
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
