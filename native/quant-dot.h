/*
 * Dot products of rows of q8_0 and q4_0 weights with activations that were rounded to bytes. Naively each weight is decoded to a
 * float and multiplied. Here each block of 32 gives an exact sum of integer products, which is scaled by both blocks' scales and
 * added up in floats. Instruction sets differ in how they multiply bytes; the first part has each.
 */
#ifndef GPT2_QUANT_DOT_H
#define GPT2_QUANT_DOT_H

#include "quant.h"

/* Number of bytes prefetched ahead of the row being read. */
#define FETCH_BYTES 8192

#if defined(__AVX512VNNI__)
#include "quant-dot-vnni.h"
#elif defined(__wasm__)
#include "quant-dot-wasm.h"
#else

/* ---- Products of integers ---- */

/*
 * iv, fv: LANES partial sums of a block, as integers and floats. Products: a block of weights, ready to be multiplied
 * with any number of blocks of activations. OFFSET(type): what was added to each weight so that it is not negative; then
 * sums start from -OFFSET times those of the activations (OFFSETS of them for a block).
 */
#if defined(__AVX2__)

#define LANES 8
typedef int8_t Rounded;
typedef __m256i iv;
typedef __m256 fv;
INLINE fv to_floats(iv v) { return _mm256_cvtepi32_ps(v); }
INLINE fv splat(float x) { return _mm256_set1_ps(x); }
INLINE fv splat_half(uint16_t h) { return _mm256_cvtph_ps(_mm_set1_epi16((short)h)); }

#if defined(__AVXVNNI__)
#define OFFSET(type) ((type) == Q8_0 ? 128 : 8)
#else
#define OFFSET(type) ((type) == Q8_0 ? 0 : 8)
#endif
#define OFFSETS 8

typedef struct {
  __m256i w, magnitude;
  __m256 scale;
} Products;

INLINE Products products_q8(const BlockQ8 *b) {
  __m256i w = _mm256_loadu_si256((const void *)b->q);
#if defined(__AVXVNNI__)
  return (Products){.w = _mm256_xor_si256(w, _mm256_set1_epi8(-128)), .scale = splat_half(b->scale)};
#else
  return (Products){.w = w, .magnitude = _mm256_abs_epi8(w), .scale = splat_half(b->scale)};
#endif
}

INLINE Products products_q4(const BlockQ4 *b) {
  __m128i w = _mm_loadu_si128((const void *)b->q);
  __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(w), _mm_srli_epi16(w, 4), 1);
  return (Products){.w = _mm256_and_si256(both, _mm256_set1_epi8(15)), .scale = splat_half(b->scale)};
}

INLINE iv dot_block(int type, Products p, const Rounded *x, const int32_t *start) {
  __m256i xv = _mm256_loadu_si256((const void *)x);
#if defined(__AVXVNNI__)
  (void)type;
  return _mm256_dpbusd_avx_epi32(_mm256_loadu_si256((const void *)start), p.w, xv);
#else
  /* Pairs of products in 16 bits do not overflow: 2 * 128 * 127. */
  const __m256i ones = _mm256_set1_epi16(1);
  if (type == Q8_0) return _mm256_madd_epi16(_mm256_maddubs_epi16(p.magnitude, _mm256_sign_epi8(xv, p.w)), ones);
  __m256i sum = _mm256_madd_epi16(_mm256_maddubs_epi16(p.w, xv), ones);
  return _mm256_add_epi32(sum, _mm256_loadu_si256((const void *)start));
#endif
}

#elif defined(__SSE2__)

#define LANES 4
#define OFFSET(type) 0
#define OFFSETS 1
typedef int16_t Rounded;
typedef __m128i iv;
typedef __m128 fv;
INLINE fv to_floats(iv v) { return _mm_cvtepi32_ps(v); }
INLINE fv splat(float x) { return _mm_set1_ps(x); }
INLINE fv splat_half(uint16_t h) { return splat(half_to_float(h)); }

typedef struct {
  __m128i w[4];
  fv scale;
} Products;

/* 8 bytes of v as 16 bits, signs and all. */
#define WIDEN_LOW(v) _mm_srai_epi16(_mm_unpacklo_epi8(v, v), 8)
#define WIDEN_HIGH(v) _mm_srai_epi16(_mm_unpackhi_epi8(v, v), 8)

INLINE Products products_q8(const BlockQ8 *b) {
  __m128i v0 = _mm_loadu_si128((const void *)b->q), v1 = _mm_loadu_si128((const void *)(b->q + 16));
  return (Products){{WIDEN_LOW(v0), WIDEN_HIGH(v0), WIDEN_LOW(v1), WIDEN_HIGH(v1)}, splat_half(b->scale)};
}

INLINE Products products_q4(const BlockQ4 *b) {
  const __m128i mask = _mm_set1_epi8(15), zero = _mm_setzero_si128(), eight = _mm_set1_epi16(8);
  __m128i v = _mm_loadu_si128((const void *)b->q);
  __m128i low = _mm_and_si128(v, mask), high = _mm_and_si128(_mm_srli_epi16(v, 4), mask);
  return (Products){{_mm_sub_epi16(_mm_unpacklo_epi8(low, zero), eight), _mm_sub_epi16(_mm_unpackhi_epi8(low, zero), eight),
                     _mm_sub_epi16(_mm_unpacklo_epi8(high, zero), eight),
                     _mm_sub_epi16(_mm_unpackhi_epi8(high, zero), eight)},
                    splat_half(b->scale)};
}

INLINE iv dot_block(int type, Products p, const Rounded *x, const int32_t *start) {
  (void)type, (void)start;
  __m128i sum[4];
  UNROLL for (int i = 0; i < 4; i++) sum[i] = _mm_madd_epi16(p.w[i], _mm_loadu_si128((const void *)(x + 8 * i)));
  return _mm_add_epi32(_mm_add_epi32(sum[0], sum[1]), _mm_add_epi32(sum[2], sum[3]));
}

#elif defined(__aarch64__)

#define LANES 4
#define OFFSET(type) 0
#define OFFSETS 1
typedef int8_t Rounded;
typedef int32x4_t iv;
typedef float32x4_t fv;
INLINE fv to_floats(iv v) { return vcvtq_f32_s32(v); }
INLINE fv splat(float x) { return vdupq_n_f32(x); }
INLINE fv splat_half(uint16_t h) { return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))); }

typedef struct {
  int8x16_t w[2];
  fv scale;
} Products;

INLINE Products products_q8(const BlockQ8 *b) {
  return (Products){{vld1q_s8(b->q), vld1q_s8(b->q + 16)}, splat_half(b->scale)};
}

INLINE Products products_q4(const BlockQ4 *b) {
  const int8x16_t eight = vdupq_n_s8(8);
  uint8x16_t v = vld1q_u8(b->q);
  return (Products){{vsubq_s8(vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15))), eight),
                     vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8(v, 4)), eight)},
                    splat_half(b->scale)};
}

INLINE iv dot_block(int type, Products p, const Rounded *x, const int32_t *start) {
  (void)type, (void)start;
  int8x16_t x0 = vld1q_s8(x), x1 = vld1q_s8(x + 16);
#if defined(__ARM_FEATURE_DOTPROD)
  return vdotq_s32(vdotq_s32(vdupq_n_s32(0), p.w[0], x0), p.w[1], x1);
#else
  /* Pairs of products in 16 bits do not overflow: 2 * 128 * 127. */
  int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(p.w[0]), vget_low_s8(x0)), vget_low_s8(p.w[1]), vget_low_s8(x1));
  int16x8_t high = vmlal_high_s8(vmull_high_s8(p.w[0], x0), p.w[1], x1);
  return vpadalq_s16(vpaddlq_s16(low), high);
#endif
}

#endif

INLINE float sum_lanes(fv v) {
#if LANES == VW
  return vsum((vf)v);
#else
  return sum8((v8f)v);
#endif
}

/* ---- Activations ---- */

/* Rows of `blocks` blocks each, as integers q with a scale for each block; see OFFSET for start. */
typedef struct {
  Index blocks;
  Rounded *q;
  float *scale;
  int32_t *start;
} Activations;

#define ALIGNED(bytes) ROUND_UP((size_t)(bytes), 64)

INLINE size_t activations_bytes(Index rows, Index blocks) {
  size_t n = (size_t)rows * blocks;
  return ALIGNED(n * BLOCK * sizeof(Rounded)) + ALIGNED(n * sizeof(float)) + ALIGNED(n * OFFSETS * sizeof(int32_t));
}

typedef Rounded rounded_vector __attribute__((vector_size(VW * sizeof(Rounded))));
typedef Rounded rounded_memory __attribute__((vector_size(VW * sizeof(Rounded)), aligned(1), may_alias));

/* The rows of x, rounded as by round_activations, written to memory of activations_bytes. */
static __attribute__((noinline, unused)) Activations quantise_activations(int type, const float *x, Index rows, Index blocks, void *memory) {
  size_t n = (size_t)rows * blocks;
  Activations a = {.blocks = blocks, .q = memory};
  a.scale = (float *)((char *)memory + ALIGNED(n * BLOCK * sizeof(Rounded)));
  a.start = (int32_t *)((char *)a.scale + ALIGNED(n * sizeof(float)));
  const int offset = OFFSET(type);
  (void)type;
  for (size_t b = 0; b < n; b++) {
    Rounded *q = a.q + b * BLOCK;
    float inverse;
    a.scale[b] = activation_scale(x + b * BLOCK, &inverse);
    UNROLL for (int i = 0; i < BLOCK; i += VW)
      *(rounded_memory *)(q + i) = __builtin_convertvector(vround(vload(x + b * BLOCK + i) * inverse), rounded_vector);
    if (!offset) continue;
    int32_t *start = a.start + b * OFFSETS;
    UNROLL for (int i = 0; i < OFFSETS; i++) start[i] = -offset * (q[4 * i] + q[4 * i + 1] + q[4 * i + 2] + q[4 * i + 3]);
  }
  return a;
}

/* ---- Rows ---- */

/* Number of tokens whose sums are in registers together. */
#define INTEGER_TOKENS 4

/* Adds the products of weight block b and T tokens' activations to acc. */
INLINE void add_block(int type, const void *row, Index b, const Activations *a, Index t0, Index T, fv *acc) {
  Products p = type == Q8_0 ? products_q8((const BlockQ8 *)row + b) : products_q4((const BlockQ4 *)row + b);
  UNROLL for (int t = 0; t < T; t++) {
    Index at = (t0 + t) * a->blocks + b;
    fv sum = to_floats(dot_block(type, p, a->q + at * BLOCK, a->start + at * OFFSETS));
    acc[t] = sum * (p.scale * splat(a->scale[at])) + acc[t];
  }
}

#define INTEGER_ROWS 1

/* Dot products of one weight row of `blocks` blocks with T tokens' activations from token t on. */
INLINE void dot_blocks(int type, int R, const void *row, Index blocks, const Activations *a, Index t, Index T, float *out, Index stride) {
  (void)R, (void)stride;
  fv acc[2][INTEGER_TOKENS];
  UNROLL for (int i = 0; i < T; i++) acc[0][i] = acc[1][i] = splat(0);
  Index b = 0;
  for (; b + 2 <= blocks; b += 2) {
    __builtin_prefetch((const char *)packed_at(type, row, b * BLOCK) + FETCH_BYTES);
    add_block(type, row, b, a, t, T, acc[0]);
    add_block(type, row, b + 1, a, t, T, acc[1]);
  }
  if (b < blocks) add_block(type, row, b, a, t, T, acc[0]);
  for (int i = 0; i < T; i++) out[i] = sum_lanes(acc[0][i] + acc[1][i]);
}

#endif
#endif
