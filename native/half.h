/* Floats to half precision. */
#ifndef GPT2_HALF_H
#define GPT2_HALF_H

#include "vec.h"

#define F32_INFINITY 0x7f800000u
#define F16_INFINITY 0x7c00u

INLINE float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
INLINE uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* Rounds to the nearest, ties to even; a value too large becomes infinity. */
INLINE uint16_t f32_to_f16(float x) {
  uint32_t bits = bits_of(x), magnitude = bits & 0x7fffffffu;
  uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  /* The last place of a float just above 1/2 is 2^-24, as in a subnormal half: one addition rounds. */
  uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x47800000u ? F16_INFINITY : half;
  return (uint16_t)((bits >> 16 & 0x8000) | half);
}

/* The same, but a value too large becomes the largest half, 65,504, and NaN stays. */
INLINE uint16_t saturating_half(float x) {
  uint32_t bits = bits_of(x), magnitude = bits & 0x7fffffffu, half = f32_to_f16(x) & 0x7fffu;
  half = magnitude >= 0x477ff000u ? F16_INFINITY - 1 : half;
  half = magnitude > F32_INFINITY ? F16_INFINITY + 0x200 : half;
  return (uint16_t)((bits >> 16 & 0x8000) | half);
}

#endif
