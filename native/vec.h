/* The vector type of the instruction set this file is compiled for, and the few operations on it that C lacks. */
#ifndef GPT2_VEC_H
#define GPT2_VEC_H

#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VW 16 /* floats in a vector */
#define MR 12 /* rows of the matrix product's register tile */
#elif defined(__AVX2__)
#define VW 8
#define MR 6
#elif defined(__aarch64__)
#define VW 4
#define MR 8
#elif defined(__wasm__) /* fits into 15 registers, with all of a step's operands loaded first: docs/wasm.md */
#define VW 4
#if defined(__wasm_relaxed_simd__)
#define MR 3
#else
#define MR 4 /* and a product before it is added */
#endif
#else
#define VW 4
#define MR 6
#endif
#if defined(__aarch64__) || defined(__wasm_relaxed_simd__)
#define NV 3 /* vectors in a row of the tile; on arm64 24 accumulators, 32 registers */
#else
#define NV 2
#endif
#define NR (NV * VW)

typedef float vf __attribute__((vector_size(4 * VW)));
typedef int32_t vi __attribute__((vector_size(4 * VW)));
/* The same in memory, at any address. */
typedef float vf_memory __attribute__((vector_size(4 * VW), aligned(4), may_alias));

#define ROUND_UP(n, to) (((n) + (to) - 1) / (to) * (to))
#define INLINE static inline __attribute__((always_inline, unused))
#if defined(__wasm__) /* clang */
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

INLINE vf vload(const float *p) { return *(const vf_memory *)p; }
INLINE void vstore(float *p, vf v) { *(vf_memory *)p = v; }
INLINE vf vset(float x) { return x - (vf){0}; }

/* a * b + c, fused where the processor can: compilers contract the expression by themselves, but not to this instruction. */
#if defined(__wasm_relaxed_simd__)
INLINE vf vmadd(vf a, vf b, vf c) { return __builtin_wasm_relaxed_madd_f32x4(a, b, c); }
#else
INLINE vf vmadd(vf a, vf b, vf c) { return a * b + c; }
#endif

/* The first n < VW floats; the rest is zero. */
#if defined(__wasm__) /* a memcpy of unknown size would be a call out of the module */
INLINE vf vload_part(const float *p, Index n) {
  return (vf){n > 0 ? p[0] : 0, n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, n > 3 ? p[3] : 0};
}
INLINE void vstore_part(float *p, vf v, Index n) {
  if (n > 0) p[0] = v[0];
  if (n > 1) p[1] = v[1];
  if (n > 2) p[2] = v[2];
  if (n > 3) p[3] = v[3];
}
#else
INLINE vf vload_part(const float *p, Index n) {
  vf v = {0};
  memcpy(&v, p, (size_t)n * sizeof(float));
  return v;
}
INLINE void vstore_part(float *p, vf v, Index n) { memcpy(p, &v, (size_t)n * sizeof(float)); }
#endif

INLINE vf vselect(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
#if defined(__AVX512F__)
INLINE vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
#elif defined(__AVX2__)
INLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
#elif defined(__SSE2__)
INLINE vf vmax(vf a, vf b) { return (vf)_mm_max_ps((__m128)a, (__m128)b); }
INLINE vf vmin(vf a, vf b) { return (vf)_mm_min_ps((__m128)a, (__m128)b); }
#else
INLINE vf vmax(vf a, vf b) { return vselect(a > b, a, b); }
INLINE vf vmin(vf a, vf b) { return vselect(a < b, a, b); }
#endif

/* Sums in a fixed tree, so that the same vector always gives the same bits. */
typedef float v4f __attribute__((vector_size(16)));
INLINE float sum4(v4f v) {
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1);
  return v[0] + v[1];
}
#if VW >= 8
typedef float v8f __attribute__((vector_size(32)));
INLINE float sum8(v8f v) {
  return sum4(__builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7));
}
#endif
INLINE float vsum(vf v) {
#if VW == 16
  return sum8(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
#elif VW == 8
  return sum8(v);
#else
  return sum4(v);
#endif
}
INLINE int32_t vsum_int(vi v) {
#if VW == 16
  return _mm512_reduce_add_epi32((__m512i)v);
#else
  int32_t x[VW], sum = 0;
  memcpy(x, &v, sizeof v);
  UNROLL for (int i = 0; i < VW; i++) sum += x[i];
  return sum;
#endif
}
INLINE float vhmax(vf v) {
#if VW == 16
  return _mm512_reduce_max_ps((__m512)v);
#elif VW == 8
  __m128 x = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
#elif defined(__SSE2__)
  __m128 x = (__m128)v;
#endif
#if VW < 16 && defined(__SSE2__)
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
#elif VW < 16
  v = vmax(v, __builtin_shufflevector(v, v, 2, 3, 0, 1));
  return v[0] > v[1] ? v[0] : v[1];
#endif
}

/* e^r for |r| <= ln 2 / 2: Taylor's polynomial of degree 7. */
INLINE vf vexp_small(vf r) {
  vf p = vset(1.0f / 5040);
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p;
}

/*
 * e^x to about 2 units in the last place: x = n ln 2 + r with |r| <= ln 2 / 2, e^r by its Taylor polynomial of degree 7,
 * 2^n by adding n to the exponent. Results below 2^-126 become 0 and above 2^127 stay finite; neither occurs in a
 * softmax (x <= 0) except as a true underflow, nor in GELU, whose arguments are clamped.
 */
#if defined(__AVX512F__)
INLINE vf vexp(vf x) {
  __mmask16 normal = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-87.3f), _CMP_GE_OQ);
  x = vmin(x, vset(88.0f));
  vf n = (vf)_mm512_roundscale_ps((__m512)(x * 1.44269504f), _MM_FROUND_TO_NEAREST_INT);
  vf r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  return (vf)_mm512_maskz_scalef_ps(normal, (__m512)vexp_small(r), (__m512)n);
}
#else
INLINE vf vexp(vf x) {
  const vf low = vset(-87.3f), high = vset(88.0f);
  vi under = x < low;
  x = vmin(vmax(x, low), high);
  vf n = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer in the low bits */
  vi ni = (vi)n - 0x4B400000;
  n = n - 12582912.0f;
  vf r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  vf y = (vf)((vi)vexp_small(r) + (ni << 23));
  return (vf)(~under & (vi)y);
}
#endif

/*
 * a / b. Processors with tiles divide slowly: they use a reciprocal, an estimate to 14 bits improved by one Newton step to
 * about 2 units in the last place.
 */
INLINE vf vdivide(vf a, vf b) {
#if defined(__AMX_BF16__)
  vf r = (vf)_mm512_rcp14_ps((__m512)b);
  return a * (r + r * (1.0f - b * r));
#else
  return a / b;
#endif
}

/* GELU, tanh form (Hendrycks & Gimpel 2016): x (1 + tanh u) / 2 = x / (1 + e^-2u), u = sqrt(2/pi) (x + 0.044715 x^3). */
INLINE vf vgelu(vf x) {
  vf u2 = x * (1.5957691216f + 0.0713548163f * x * x);
  return vdivide(x, 1.0f + vexp(-u2));
}

/* The derivative: s + x s (1 - s) 2u', with s = 1 / (1 + e^-2u). */
INLINE vf vgelu_grad(vf x) {
  vf u2 = x * (1.5957691216f + 0.0713548163f * x * x);
  vf du2 = 1.5957691216f + 0.2140644488f * x * x;
  vf s = vdivide(vset(1.0f), 1.0f + vexp(-u2));
  return s + x * s * (1.0f - s) * du2;
}

/* Interleaves the low (high) halves of a and b: a0 b0 a1 b1 … */
#if VW == 16
INLINE vf vzip_lo(vf a, vf b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
INLINE vf vzip_hi(vf a, vf b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#elif VW == 8
INLINE vf vzip_lo(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
INLINE vf vzip_hi(vf a, vf b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#else
INLINE vf vzip_lo(vf a, vf b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
INLINE vf vzip_hi(vf a, vf b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
#endif

/* Transposes VW x VW floats held in r: log2(VW) rounds of interleaving row i with row i + VW/2. */
INLINE void vtranspose(vf r[VW]) {
  vf t[VW];
  for (int w = 1; w < VW; w *= 2) {
    UNROLL for (int i = 0; i < VW / 2; i++) {
      t[2 * i] = vzip_lo(r[i], r[i + VW / 2]);
      t[2 * i + 1] = vzip_hi(r[i], r[i + VW / 2]);
    }
    UNROLL for (int i = 0; i < VW; i++) r[i] = t[i];
  }
}

#endif
