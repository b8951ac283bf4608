/**
 * Floating-point formats of model files, converted to and from float32 a whole array at a time, rounding to nearest,
 * ties to even. Conversions work on the bits, so NaN payloads and signed zeros survive. Files are little-endian, like
 * every machine on which JavaScript engines run.
 */

/** Storage dtypes of single values. */
export type FloatDtype = "f32" | "f16" | "bf16" | "f64";

export const FLOAT_BYTES: Readonly<Record<FloatDtype, number>> = { f32: 4, f16: 2, bf16: 2, f64: 8 };

/**
 * Decodes `bytes`, which may start at any address, to float32.
 *
 * @param dst receives bytes.length / FLOAT_BYTES[dtype] values.
 */
export function decodeFloats(dtype: FloatDtype, bytes: Uint8Array, dst: Float32Array): void {
  const width = FLOAT_BYTES[dtype];
  const { buffer, byteOffset } = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const n = bytes.byteLength / width;
  if (dtype === "f32") dst.set(new Float32Array(buffer, byteOffset, n));
  else if (dtype === "f64") dst.set(new Float64Array(buffer, byteOffset, n));
  else if (dtype === "bf16") bf16ToF32(new Uint16Array(buffer, byteOffset, n), dst);
  else f16ToF32(new Uint16Array(buffer, byteOffset, n), dst);
}

/**
 * Encodes `src` in another format.
 *
 * @param dst aligned to the format's width; receives src.length · FLOAT_BYTES[dtype] bytes.
 */
export function encodeFloats(dtype: FloatDtype, src: Float32Array, dst: Uint8Array): void {
  const { buffer, byteOffset } = dst;
  if (dtype === "f32") new Float32Array(buffer, byteOffset, src.length).set(src);
  else if (dtype === "f64") new Float64Array(buffer, byteOffset, src.length).set(src);
  else if (dtype === "bf16") f32ToBf16(src, new Uint16Array(buffer, byteOffset, src.length));
  else f32ToF16(src, new Uint16Array(buffer, byteOffset, src.length));
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** bfloat16 is the upper half of a float32. */
export function bf16ToF32(src: Uint16Array, dst: Float32Array): void {
  const bits = bitsOf(dst);
  for (let i = 0; i < src.length; i++) bits[i] = src[i]! << 16;
}

export function f32ToBf16(src: Float32Array, dst: Uint16Array): void {
  const bits = bitsOf(src);
  for (let i = 0; i < src.length; i++) {
    const u = bits[i]!;
    // A NaN whose payload is only in the lower half must not become infinite: set the quiet bit.
    if ((u & 0x7fffffff) > 0x7f800000) dst[i] = (u >>> 16) | 0x40;
    else dst[i] = (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
  }
}

/**
 * The first `length` numbers, rounded like factors of a product in bf16: to bf16, and to zero below f32's smallest normal
 * number, as by the processors' instructions for such products.
 */
export function roundToBf16(x: ArrayLike<number>, length = x.length): Float32Array {
  const single = new Float32Array(length);
  for (let i = 0; i < length; i++) if (Math.abs(x[i]!) >= 2 ** -126 || Number.isNaN(x[i]!)) single[i] = x[i]!;
  const halves = new Uint16Array(length);
  f32ToBf16(single, halves);
  bf16ToF32(halves, single);
  return single;
}

let f16Table: Uint32Array | undefined;

/** Converts by a table of all 65,536 values (256 KiB), built on first use. */
export function f16ToF32(src: Uint16Array, dst: Float32Array): void {
  f16Table ??= Uint32Array.from({ length: 65536 }, (_, h) => f16BitsToF32Bits(h));
  const table = f16Table;
  const bits = bitsOf(dst);
  for (let i = 0; i < src.length; i++) bits[i] = table[src[i]!]!;
}

/** IEEE 754 binary16 (1 sign, 5 exponent, 10 fraction bits) to binary32. */
function f16BitsToF32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 31) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  // A subnormal, fraction · 2^-24: shift its leading one up into the hidden bit.
  const shift = Math.clz32(fraction) - 21;
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)) >>> 0;
}

/** Bits of 2^-14, the smallest normal half; of 65536, the smallest value that overflows a half; of infinity; of 1/2. */
const F16_MIN_NORMAL = 0x38800000;
const F16_TOO_LARGE = 0x47800000;
const F32_INFINITY = 0x7f800000;
const F32_HALF = 0x3f000000;

export function f32ToF16(src: Float32Array, dst: Uint16Array): void {
  const bits = bitsOf(src);
  const sum = new Float32Array(1);
  const sumBits = bitsOf(sum);
  for (let i = 0; i < src.length; i++) {
    const u = bits[i]!;
    const magnitude = u & 0x7fffffff;
    let half: number;
    if (magnitude > F32_INFINITY) half = 0x7e00 | ((magnitude >>> 13) & 0x1ff);
    else if (magnitude >= F16_TOO_LARGE) half = 0x7c00;
    else if (magnitude >= F16_MIN_NORMAL) {
      // Re-bias the exponent by 127 - 15 and round off 13 fraction bits; a carry correctly goes into the exponent.
      half = (magnitude - (112 << 23) + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    } else {
      // The last place of a float32 just above 1/2 is 2^-24, as in a subnormal half: one addition rounds.
      sum[0] = Math.abs(src[i]!) + 0.5;
      half = sumBits[0]! - F32_HALF;
    }
    dst[i] = ((u >>> 16) & 0x8000) | half;
  }
}

/** Index of the first NaN or infinity, or -1. */
export function firstNonFinite(values: Float32Array): number {
  const bits = bitsOf(values);
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & F32_INFINITY) === F32_INFINITY) return i;
  }
  return -1;
}
