/*
 * Factors of products in bf16: floats rounded to 8 significant bits. Where the processor multiplies such values in pairs and
 * adds both products to a float, they are packed as pairs of neighbours along k, each pair in place of a float.
 */
#ifndef GPT2_BF16_H
#define GPT2_BF16_H

#include "vec.h"

#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#include <arm_neon.h>
#endif
#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define PAIRS 1
#else
#define PAIRS 0
#endif

/* Whether there are tile registers for blocks of such products. */
#if defined(__AMX_BF16__)
#define TILES 1
#else
#define TILES 0
#endif

/* Values of k in an element of a packed panel. */
#define STEP(bf16) ((bf16) && PAIRS ? 2 : 1)

/* roundToBf16 of src/dtype/floats.ts: to nearest, ties to even; below the smallest normal float zero. */
INLINE vf vround_bf16(vf x) {
  vi bits = (vi)x, exponent = bits & 0x7f800000;
  vi rounded = bits + 0x7fff + ((bits >> 16) & 1);
  vi nan = (vi)(exponent == 0x7f800000) & (vi)((bits & 0x007fffff) != 0);
  return (vf)((vi)vselect(nan, (vf)(bits | 0x400000), (vf)rounded) & ~(vi)(exponent == 0) & (int32_t)0xffff0000);
}

INLINE uint32_t round_bf16(float x) {
  uint32_t bits, exponent;
  memcpy(&bits, &x, sizeof bits);
  exponent = bits & 0x7f800000u;
  if (exponent == 0) return 0;
  if (exponent == 0x7f800000u && (bits & 0x007fffffu)) return (bits | 0x400000u) & 0xffff0000u;
  return (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
}

/* Two factors in place of a float. */
INLINE float pair_bf16(float first, float second) {
  uint32_t bits = round_bf16(first) >> 16 | round_bf16(second);
  float pair;
  memcpy(&pair, &bits, sizeof pair);
  return pair;
}

/* n floats, rounded up to whole vectors, in place. */
static __attribute__((noinline, unused)) void round_to_bf16(float *x, size_t n) {
  for (size_t i = 0; i < n; i += VW) vstore(x + i, vround_bf16(vload(x + i)));
}

#if defined(__AVX512BF16__)
/* Pairs of neighbours: those of low, then those of high. */
INLINE vf vjoin_pairs(vf low, vf high) { return (vf)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low); }

/* Pairs (a[i], b[i]). */
INLINE vf vpair(vf a, vf b) {
  const __m512i alternate = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                             5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (vf)_mm512_permutexvar_epi16(alternate, (__m512i)_mm512_cvtne2ps_pbh((__m512)b, (__m512)a));
}

/* c + both products of the pairs. */
INLINE vf vmadd_pairs(vf a, vf b, vf c) { return (vf)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b); }
#elif PAIRS
INLINE vf vjoin_pairs(vf low, vf high) { return (vf)vcvtq_high_bf16_f32(vcvtq_low_bf16_f32((float32x4_t)low), (float32x4_t)high); }

INLINE vf vpair(vf a, vf b) {
  uint16x8_t first = (uint16x8_t)vcvtq_low_bf16_f32((float32x4_t)a), second = (uint16x8_t)vcvtq_low_bf16_f32((float32x4_t)b);
  return (vf)vzip1q_u16(first, second);
}

INLINE vf vmadd_pairs(vf a, vf b, vf c) { return (vf)vbfdotq_f32((float32x4_t)c, (bfloat16x8_t)a, (bfloat16x8_t)b); }
#endif

#if PAIRS
/* Pairs of 2 VW neighbours that are bf16 already, at an address that need not be aligned for floats. */
INLINE vf vload_halves(const uint16_t *p) {
  vf pairs;
  memcpy(&pairs, p, sizeof pairs);
  return pairs;
}

/* Pairs of 2 VW neighbours. */
INLINE vf vload_pairs(const float *p) { return vjoin_pairs(vload(p), vload(p + VW)); }
#endif

#endif
