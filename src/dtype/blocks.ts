import { f16ToF32, f32ToF16 } from "./floats.js";

/**
 * The block formats of GGUF (ggml's quantize_row_q8_0_ref and quantize_row_q4_0_ref define them): 32 neighbouring values
 * of a row share a scale, so a row's length is a multiple of 32. Encoding gives ggml's bytes.
 */

/** Values that share a scale. */
export const BLOCK = 32;

/** A scale in f16, then 32 signed bytes: value = scale · byte. */
export const Q8_0_BYTES = 34;
/** A scale in f16, then 16 bytes: value i = scale · (low half of byte i - 8), value 16 + i of the high half. */
export const Q4_0_BYTES = 18;

const half = new Uint16Array(1);
const single = new Float32Array(1);

function readScale(bytes: Uint8Array, at: number): number {
  half[0] = bytes[at]! | (bytes[at + 1]! << 8);
  f16ToF32(half, single);
  return single[0]!;
}

function writeScale(bytes: Uint8Array, at: number, scale: number): void {
  single[0] = scale;
  f32ToF16(single, half);
  bytes[at] = half[0]! & 255;
  bytes[at + 1] = half[0]! >> 8;
}

const signedByte = (byte: number): number => (byte << 24) >> 24;
/** C's roundf: halves go away from zero. */
const roundAway = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);

export function decodeQ8_0(bytes: Uint8Array, dst: Float32Array): void {
  for (let i = 0, at = 0; at < bytes.length; i += BLOCK, at += Q8_0_BYTES) {
    const scale = readScale(bytes, at);
    for (let j = 0; j < BLOCK; j++) dst[i + j] = scale * signedByte(bytes[at + 2 + j]!);
  }
}

export function encodeQ8_0(src: Float32Array, dst: Uint8Array): void {
  for (let i = 0, at = 0; i < src.length; i += BLOCK, at += Q8_0_BYTES) {
    let largest = 0;
    for (let j = 0; j < BLOCK; j++) largest = Math.max(largest, Math.abs(src[i + j]!));
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    writeScale(dst, at, scale);
    for (let j = 0; j < BLOCK; j++) dst[at + 2 + j] = roundAway(Math.fround(src[i + j]! * inverse));
  }
}

export function decodeQ4_0(bytes: Uint8Array, dst: Float32Array): void {
  for (let i = 0, at = 0; at < bytes.length; i += BLOCK, at += Q4_0_BYTES) {
    const scale = readScale(bytes, at);
    for (let j = 0; j < BLOCK / 2; j++) {
      const byte = bytes[at + 2 + j]!;
      dst[i + j] = scale * ((byte & 15) - 8);
      dst[i + j + BLOCK / 2] = scale * ((byte >> 4) - 8);
    }
  }
}

export function encodeQ4_0(src: Float32Array, dst: Uint8Array): void {
  for (let i = 0, at = 0; i < src.length; i += BLOCK, at += Q4_0_BYTES) {
    // The value furthest from zero becomes -8, the end of the range that has no opposite.
    let extreme = 0;
    for (let j = 0; j < BLOCK; j++) if (Math.abs(src[i + j]!) > Math.abs(extreme)) extreme = src[i + j]!;
    const scale = Math.fround(extreme / -8);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    writeScale(dst, at, scale);
    const level = (x: number): number => Math.min(15, Math.trunc(Math.fround(Math.fround(x * inverse) + 8.5)));
    for (let j = 0; j < BLOCK / 2; j++) dst[at + 2 + j] = level(src[i + j]!) | (level(src[i + j + BLOCK / 2]!) << 4);
  }
}

/**
 * What an integer dot product makes of activations, in place: each block of 32 rounded to whole multiples of a 127th of
 * its largest magnitude, ties to even. In single precision whatever `x` is, so that all backends round alike.
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
