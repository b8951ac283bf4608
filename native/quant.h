/*
 * Packed weights (src/dtype defines their bytes): rows decoded to floats, and activations rounded as for integer
 * products.
 */
#ifndef GPT2_QUANT_H
#define GPT2_QUANT_H

#include "op.h"
#include "vec.h"
#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

/* Values that share a scale. */
#define BLOCK 32

/* value = scale (f16) * q. */
typedef struct {
  uint16_t scale;
  int8_t q[BLOCK];
} BlockQ8;

/* Value i is scale (f16) * (low half of byte i - 8), value 16 + i the same of its high half. */
typedef struct {
  uint16_t scale;
  uint8_t q[BLOCK / 2];
} BlockQ4;

INLINE int is_integer_type(int type) { return type == Q8_0 || type == Q4_0; }

/* Bytes of n values, whole blocks. */
INLINE size_t packed_bytes(int type, Index n) {
  switch (type) {
    case F16:
    case BF16: return (size_t)n * 2;
    case Q8_0: return (size_t)(n / BLOCK) * sizeof(BlockQ8);
    case Q4_0: return (size_t)(n / BLOCK) * sizeof(BlockQ4);
    default: return (size_t)n * 4;
  }
}

/* The address of element n, the first of a block, of a packed array. */
INLINE const void *packed_at(int type, const void *p, Index n) { return (const char *)p + packed_bytes(type, n); }

/* ---- Half precision ---- */

typedef uint16_t vh __attribute__((vector_size(2 * VW)));
typedef uint16_t vh_memory __attribute__((vector_size(2 * VW), aligned(1), may_alias));
typedef uint32_t vu __attribute__((vector_size(4 * VW)));
#if defined(__wasm__)
typedef int16_t vs __attribute__((vector_size(2 * VW)));
#endif

/* IEEE 754 half precision: exponent and fraction moved up, and the exponent's bias corrected by a multiplication, which
 * also makes subnormals normal. */
INLINE float half_to_float(uint16_t h) {
#if defined(__F16C__)
  return _cvtsh_ss(h);
#elif defined(__aarch64__)
  __fp16 f;
  memcpy(&f, &h, sizeof f);
  return f;
#else
  uint32_t bits = (uint32_t)(h & 0x7fff) << 13;
  float f;
  memcpy(&f, &bits, sizeof f);
  f *= 0x1p112f;
  memcpy(&bits, &f, sizeof f);
  if ((h & 0x7c00) == 0x7c00) bits |= 0x7f800000u;
  bits |= (uint32_t)(h & 0x8000) << 16;
  memcpy(&f, &bits, sizeof f);
  return f;
#endif
}

#if defined(__wasm__)
/*
 * The same of the lower 16 bits of each; without the multiplication, which for subnormals takes some hundred cycles on
 * some processors: those get an exponent, and what that adds is subtracted again.
 */
INLINE vf halves_to_floats(vi h) {
  vi magnitude = (h & 0x7fff) << 13, exponent = magnitude & 0x0f800000;
  vi subnormal = (vi)(exponent == 0), special = (vi)(exponent == 0x0f800000) & 0x7f800000;
  vf value = (vf)(magnitude + (112 << 23) + (subnormal & 1 << 23)) - (vf)(subnormal & (vi)vset(0x1p-14f));
  return (vf)((vi)value | special | (h & 0x8000) << 16);
}
#endif

INLINE vf vload_f16(const void *p) {
#if VW == 16
  return (vf)_mm512_cvtph_ps(_mm256_loadu_si256(p));
#elif VW == 8
  return (vf)_mm256_cvtph_ps(_mm_loadu_si128(p));
#elif defined(__aarch64__)
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
#elif defined(__wasm__)
  vi bits = __builtin_convertvector((vs) * (const vh_memory *)p, vi) << 13 & (int32_t)0x8fffe000;
  vi special = (vi)((bits & 0x0f800000) == 0x0f800000) & 0x7f800000;
  return (vf)((vi)((vf)bits * 0x1p112f) | special);
#else
  vu h = __builtin_convertvector(*(const vh_memory *)p, vu);
  vu bits = (h & 0x7fff) << 13;
  vi special = (vi)((h & 0x7c00) == 0x7c00) & 0x7f800000;
  return (vf)((vi)((vf)bits * 0x1p112f) | special | (vi)((h & 0x8000) << 16));
#endif
}

/* bfloat16 is the upper half of a float. */
INLINE vf vload_bf16(const void *p) { return (vf)(__builtin_convertvector(*(const vh_memory *)p, vu) << 16); }

/* ---- Rows of weights ---- */

typedef int8_t vb __attribute__((vector_size(VW)));
typedef int8_t vb_memory __attribute__((vector_size(VW), aligned(1), may_alias));

/* VW bytes as integers: with instructions, because gcc 12 converts such vectors one number at a time. */
INLINE vi vload_bytes(const void *p) {
#if VW == 16
  return (vi)_mm512_cvtepi8_epi32(_mm_loadu_si128(p));
#elif VW == 8
  return (vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64(p));
#else
  return __builtin_convertvector(*(const vb_memory *)p, vi);
#endif
}

INLINE vf vload_int8(const int8_t *p) { return __builtin_convertvector(vload_bytes(p), vf); }

static void decode_halves(int type, const char *src, Index n, float *dst) {
  Index i = 0;
  if (type == F16) {
    for (; i + VW <= n; i += VW) vstore(dst + i, vload_f16(src + 2 * i));
  } else {
    for (; i + VW <= n; i += VW) vstore(dst + i, vload_bf16(src + 2 * i));
  }
  for (; i < n; i++) {
    uint16_t h;
    memcpy(&h, src + 2 * i, sizeof h);
    uint32_t bits = (uint32_t)h << 16;
    if (type == F16) dst[i] = half_to_float(h);
    else memcpy(dst + i, &bits, sizeof bits);
  }
}

static void decode_q8(const BlockQ8 *src, Index blocks, float *dst) {
  for (Index b = 0; b < blocks; b++, src++, dst += BLOCK) {
    float scale = half_to_float(src->scale);
    UNROLL for (int i = 0; i < BLOCK; i += VW) vstore(dst + i, scale * vload_int8(src->q + i));
  }
}

static void decode_q4(const BlockQ4 *src, Index blocks, float *dst) {
  for (Index b = 0; b < blocks; b++, src++, dst += BLOCK) {
    float scale = half_to_float(src->scale);
    UNROLL for (int i = 0; i < BLOCK / 2; i += VW) {
      vi q = vload_bytes(src->q + i);
      vstore(dst + i, scale * __builtin_convertvector((q & 15) - 8, vf));
      vstore(dst + BLOCK / 2 + i, scale * __builtin_convertvector((q >> 4 & 15) - 8, vf));
    }
  }
}

/* n values from element `from` of an array on; for block types both are whole blocks. */
static __attribute__((noinline, unused)) void decode_row(int type, const void *array, Index from, Index n, float *dst) {
  const void *src = packed_at(type, array, from);
  switch (type) {
    case F16:
    case BF16: decode_halves(type, src, n, dst); break;
    case Q8_0: decode_q8(src, n / BLOCK, dst); break;
    case Q4_0: decode_q4(src, n / BLOCK, dst); break;
    default: memcpy(dst, src, (size_t)n * sizeof(float));
  }
}

/* ---- Activations ---- */

/* To the nearest integer, ties to even; with an instruction, because x + 1.5 * 2^23 could be fused with the computation of x. */
INLINE vi vround(vf x) {
#if VW == 16
  return (vi)_mm512_cvtps_epi32((__m512)x);
#elif VW == 8
  return (vi)_mm256_cvtps_epi32((__m256)x);
#elif defined(__SSE2__)
  return (vi)_mm_cvtps_epi32((__m128)x);
#elif defined(__aarch64__)
  return (vi)vcvtnq_s32_f32((float32x4_t)x);
#elif defined(__wasm__)
  return __builtin_convertvector(__builtin_wasm_nearest_f32x4(x), vi);
#endif
}

/* A block below this counts as zero: the reciprocal of its scale would not be a number. */
#define TINY_ACTIVATION 0x1p-100f

/* The block's scale, and 127 over its largest magnitude. */
INLINE float activation_scale(const float *x, float *inverse) {
  vf largest = {0};
  UNROLL for (int i = 0; i < BLOCK; i += VW) {
    vf v = vload(x + i);
    largest = vmax(vmax(v, -v), largest);
  }
  float m = vhmax(largest);
  *inverse = m < TINY_ACTIVATION ? 0 : 127.0f / m;
  return m / 127.0f;
}

#if VW == 16
#define SCALED 16 /* blocks whose scales are found together */

/* Lane i: the lanes of v[i] combined by OP (pairwise, in one fixed order). */
#define COMBINE_16(v, OP)                                                                                              \
  for (int i = 0; i < 8; i++)                                                                                          \
    v[i] = OP(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]), _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));                 \
  for (int i = 0; i < 4; i++)                                                                                          \
    v[i] = OP(_mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(v[2 * i]), _mm512_castps_pd(v[2 * i + 1]))),        \
              _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(v[2 * i]), _mm512_castps_pd(v[2 * i + 1]))));       \
  for (int i = 0; i < 2; i++)                                                                                          \
    v[i] = OP(_mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0x44), _mm512_shuffle_f32x4(v[2 * i], v[2 * i + 1], 0xee)); \
  v[0] = OP(_mm512_shuffle_f32x4(v[0], v[1], 0x88), _mm512_shuffle_f32x4(v[0], v[1], 0xdd));

#define ADD_INTEGERS(a, b) _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)))

/* activation_scale of `count` blocks, zeros for missing ones: horizontal maxima and divisions 16 at a time. */
INLINE void activation_scales(const float *x, Index count, float scale[SCALED], float inverse[SCALED]) {
  __m512 m[16];
  for (int i = 0; i < 16; i++) {
    vf largest = {0};
    if (i < count) {
      UNROLL for (int k = 0; k < BLOCK; k += VW) {
        vf v = vload(x + i * BLOCK + k);
        largest = vmax(vmax(v, -v), largest);
      }
    }
    m[i] = (__m512)largest;
  }
  COMBINE_16(m, _mm512_max_ps)
  __mmask16 tiny = _mm512_cmp_ps_mask(m[0], _mm512_set1_ps(TINY_ACTIVATION), _CMP_LT_OQ);
  _mm512_storeu_ps(scale, _mm512_div_ps(m[0], _mm512_set1_ps(127.0f)));
  _mm512_storeu_ps(inverse, _mm512_mask_div_ps(_mm512_setzero_ps(), ~tiny, _mm512_set1_ps(127.0f), m[0]));
}
#else
#define SCALED 1
INLINE void activation_scales(const float *x, Index count, float scale[SCALED], float inverse[SCALED]) {
  (void)count;
  scale[0] = activation_scale(x, inverse);
}
#endif

/* roundActivations of src/dtype/blocks.ts; n is whole blocks. */
static __attribute__((noinline, unused)) void round_activations(const float *x, Index n, float *dst) {
  for (Index b = 0; b < n; b += BLOCK) {
    float inverse, scale = activation_scale(x + b, &inverse);
    UNROLL for (int i = 0; i < BLOCK; i += VW)
      vstore(dst + b + i, scale * __builtin_convertvector(vround(vload(x + b + i) * inverse), vf));
  }
}

#endif
