/*
 * quant-dot.h for AVX-512 VNNI, whose dot products of bytes need so little arithmetic that loads, shuffles and scales
 * dominate. Eight blocks of a row are one group: four vectors, each with four consecutive values of each half of each block.
 * So the sums of the vectors' products are those of 16 halves of blocks, in slots as below, and are scaled together.
 */
#ifndef GPT2_QUANT_DOT_VNNI_H
#define GPT2_QUANT_DOT_VNNI_H

#include "quant.h"

#define GROUP 8
#define SLOTS 16
/* The first half of block i of a group has its sum in slot i % 2 * 8 + i / 2; the second half, 4 further. */
#define VECTORS 4

/* Added to weights, because the instruction needs them unsigned. */
#define OFFSET(type) ((type) == Q8_0 ? 128 : 8)

/* ---- Activations ---- */

/* A group of one token: vectors of integers; for each slot, the scale and -OFFSET times the sum of its integers. */
typedef struct {
  int8_t q[VECTORS][64];
  float scale[SLOTS];
  int32_t start[SLOTS];
} TokenGroup;

/* The same group of all tokens, then the next group; the last one is padded with zeros. */
typedef struct {
  Index tokens;
  TokenGroup *group;
} Activations;

INLINE size_t activations_bytes(Index tokens, Index blocks) {
  return (size_t)tokens * ((blocks + GROUP - 1) / GROUP) * sizeof(TokenGroup);
}

/* Four vectors of two blocks each as the vectors of a group: each lane of 128 bits, half a block, gives each vector a quarter. */
INLINE void group_vectors(const __m512i w[4], __m512i to[VECTORS]) {
  __m512i a = _mm512_unpacklo_epi32(w[0], w[1]), c = _mm512_unpackhi_epi32(w[0], w[1]);
  __m512i e = _mm512_unpacklo_epi32(w[2], w[3]), d = _mm512_unpackhi_epi32(w[2], w[3]);
  to[0] = _mm512_unpacklo_epi64(a, e), to[1] = _mm512_unpackhi_epi64(a, e);
  to[2] = _mm512_unpacklo_epi64(c, d), to[3] = _mm512_unpackhi_epi64(c, d);
}

/* 16 values as bytes. */
INLINE __m128i rounded_bytes(const float *x, float inverse) { return _mm512_cvtepi32_epi8((__m512i)vround(vload(x) * inverse)); }

/* `count` blocks of x, with zeros up to a group; scale and inverse: activation_scales of all eight. */
INLINE void quantise_group(int type, TokenGroup *to, const float *x, Index count, const float *scale, const float *inverse) {
  __m512i w[4], q[VECTORS], sum = _mm512_setzero_si512();
  for (int i = 0; i < 4; i++) {
    w[i] = _mm512_setzero_si512();
    for (int j = 0; j < 2 && 2 * i + j < count; j++) {
      const float *from = x + (2 * i + j) * BLOCK;
      __m256i block = _mm256_castsi128_si256(rounded_bytes(from, inverse[2 * i + j]));
      block = _mm256_inserti128_si256(block, rounded_bytes(from + 16, inverse[2 * i + j]), 1);
      w[i] = j ? _mm512_inserti64x4(w[i], block, 1) : _mm512_castsi256_si512(block);
    }
  }
  group_vectors(w, q);
  UNROLL for (int v = 0; v < VECTORS; v++) {
    _mm512_storeu_si512(to->q[v], q[v]);
    sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), q[v]);
  }
  /* In slots: second halves of q4_0 are 16 times as large, see products_q4. */
  const __m512i block_of_slot = _mm512_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6, 1, 3, 5, 7, 1, 3, 5, 7);
  __m512 scales = _mm512_permutexvar_ps(block_of_slot, _mm512_castps256_ps512(_mm256_loadu_ps(scale)));
  if (type == Q4_0) {
    sum = _mm512_mask_slli_epi32(sum, 0xf0f0, sum, 4);
    scales = _mm512_mask_mul_ps(scales, 0xf0f0, scales, _mm512_set1_ps(1.0f / 16));
  }
  _mm512_storeu_ps(to->scale, scales);
  _mm512_storeu_si512(to->start, _mm512_mullo_epi32(sum, _mm512_set1_epi32(-OFFSET(type))));
}

/* The rows of x, rounded as by round_activations, written to memory of activations_bytes. */
static __attribute__((noinline, unused)) Activations quantise_activations(int type, const float *x, Index tokens, Index blocks, void *memory) {
  Activations a = {.tokens = tokens, .group = memory};
  for (Index t = 0; t < tokens; t++, x += blocks * BLOCK) {
    for (Index b = 0; b < blocks; b += SCALED) {
      float scale[SCALED], inverse[SCALED];
      activation_scales(x + b * BLOCK, blocks - b, scale, inverse);
      for (Index g = 0; g < SCALED && b + g < blocks; g += GROUP) {
        Index count = blocks - b - g < GROUP ? blocks - b - g : GROUP;
        quantise_group(type, a.group + (b + g) / GROUP * tokens + t, x + (b + g) * BLOCK, count, scale + g, inverse + g);
      }
    }
  }
  return a;
}

/* ---- Rows ---- */

/* Number of tokens whose sums are in registers together. */
#define INTEGER_TOKENS 8

typedef struct {
  __m512i w[VECTORS];
  __m512 scale; /* in slots */
} Products;

/* Indices of 16-bit words for vpermt2w: slot s takes the scale of the block there; `stride` words from block to block. */
#define WORD(s, stride, from) ((((s) % 4 * 2 + (s) / 8) - (from)) * (stride) & 63)
#define WORDS(stride, from)                                                                                           \
  _mm512_castsi256_si512(_mm256_setr_epi16(                                                                            \
      WORD(0, stride, from), WORD(1, stride, from), WORD(2, stride, from), WORD(3, stride, from),                      \
      WORD(4, stride, from), WORD(5, stride, from), WORD(6, stride, from), WORD(7, stride, from),                      \
      WORD(8, stride, from), WORD(9, stride, from), WORD(10, stride, from), WORD(11, stride, from),                    \
      WORD(12, stride, from), WORD(13, stride, from), WORD(14, stride, from), WORD(15, stride, from)))

/* The first n of 64 bytes, which may be none; the rest zero. */
INLINE __m512i load_bytes(const char *p, Index n) {
  if (n >= 64) return _mm512_loadu_si512(p);
  return _mm512_maskz_loadu_epi8(n > 0 ? ((uint64_t)1 << n) - 1 : 0, p);
}

/*
 * Eight blocks are 272 bytes; scales of the first four lie in the first 128, those of the others in as many from there.
 * Of a last group only `blocks` are there, the rest is zero.
 */
INLINE Products products_q8(const BlockQ8 *b, Index blocks) {
  Products p;
  const char *bytes = (const char *)b, *later = (const char *)(b + 4);
  __m512i w[4];
  UNROLL for (int i = 0; i < 4; i++) {
    __m256i w0 = 2 * i < blocks ? _mm256_loadu_si256((const void *)b[2 * i].q) : _mm256_setzero_si256();
    __m256i w1 = 2 * i + 1 < blocks ? _mm256_loadu_si256((const void *)b[2 * i + 1].q) : _mm256_setzero_si256();
    w[i] = _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(w0), w1, 1), _mm512_set1_epi8(-128));
  }
  group_vectors(w, p.w);
  const __m512i words = WORDS(17, 0), words4 = WORDS(17, 4);
  const Index n = blocks * (Index)sizeof(BlockQ8), n4 = n - 4 * (Index)sizeof(BlockQ8);
  __m512i s = _mm512_permutex2var_epi16(load_bytes(bytes, n), words, load_bytes(bytes + 64, n - 64));
  __m512i s4 = _mm512_permutex2var_epi16(load_bytes(later, n4), words4, load_bytes(later + 64, n4 - 64));
  p.scale = _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_mask_blend_epi16(0xcccc, s, s4)));
  return p;
}

/*
 * Indices of words, as above: slot s takes the four bytes from 2 + 4 v on of its block, both halves the same. Blocks 0 to
 * 6 lie in the first 126 bytes, in the two vectors that hold 128; the last one in the vector that ends with it.
 */
#define BYTES_LOW(s, v) ((((s) % 4 * 2 + (s) / 8) * 9 + 1 + 2 * (v)) & 63)
#define BYTES_PAIR(s, v) BYTES_LOW(s, v), BYTES_LOW(s, v) + 1
#define BYTES(v)                                                                                                       \
  (__m512i)(__v32hi) {                                                                                                 \
    BYTES_PAIR(0, v), BYTES_PAIR(1, v), BYTES_PAIR(2, v), BYTES_PAIR(3, v), BYTES_PAIR(4, v), BYTES_PAIR(5, v),        \
        BYTES_PAIR(6, v), BYTES_PAIR(7, v), BYTES_PAIR(8, v), BYTES_PAIR(9, v), BYTES_PAIR(10, v), BYTES_PAIR(11, v),  \
        BYTES_PAIR(12, v), BYTES_PAIR(13, v), BYTES_PAIR(14, v), BYTES_PAIR(15, v)                                     \
  }

/*
 * Eight blocks are 144 bytes: three loads, as loads dominate here. All scales lie in the first two. High
 * halves of bytes stay where they are, 16 times as large; the activations' scales make up for that.
 */
INLINE Products products_q4(const BlockQ4 *b, Index blocks) {
  Products p;
  const char *bytes = (const char *)b;
  const __m512i halves = _mm512_set_epi32(0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f,
                                          0x0f0f0f0f, 0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0x0f0f0f0f, 0x0f0f0f0f,
                                          0x0f0f0f0f, 0x0f0f0f0f);
  const Index n = blocks * (Index)sizeof(BlockQ4);
  __m512i v0 = load_bytes(bytes, n), v1 = load_bytes(bytes + 64, n - 64), v2 = load_bytes(bytes + 80, n - 80);
#define VECTOR(v)                                                                                                      \
  {                                                                                                                    \
    __m512i w = _mm512_permutex2var_epi16(v0, BYTES(v), v1);                                                           \
    w = _mm512_mask_permutexvar_epi16(w, 0xc0c00000 , _mm512_set1_epi32((24 + 2 * v) | (25 + 2 * v) << 16), v2);   \
    p.w[v] = _mm512_and_si512(halves, w);                                                                              \
  }
  VECTOR(0) VECTOR(1) VECTOR(2) VECTOR(3)
#undef VECTOR
  p.scale = _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutex2var_epi16(v0, WORDS(9, 0), v1)));
  return p;
}

/* Number of rows that share the loads of several tokens' activations. */
#define INTEGER_ROWS 2

/* Adds the products of `blocks` blocks of R rows of weights and a group of T tokens' activations to acc. */
INLINE void add_group(int type, int R, const char *w, Index row_bytes, Index blocks, const TokenGroup *x, Index T,
                      __m512 acc[INTEGER_ROWS][INTEGER_TOKENS]) {
  Products p[INTEGER_ROWS];
  UNROLL for (int r = 0; r < R; r++)
    p[r] = type == Q8_0 ? products_q8((const void *)(w + r * row_bytes), blocks) : products_q4((const void *)(w + r * row_bytes), blocks);
  UNROLL for (int t = 0; t < T; t++) {
    __m512i sum[INTEGER_ROWS];
    UNROLL for (int r = 0; r < R; r++) sum[r] = _mm512_loadu_si512(x[t].start);
    UNROLL for (int v = 0; v < VECTORS; v++) {
      __m512i q = _mm512_loadu_si512(x[t].q[v]);
      UNROLL for (int r = 0; r < R; r++) sum[r] = _mm512_dpbusd_epi32(sum[r], p[r].w[v], q);
    }
    __m512 scale = _mm512_loadu_ps(x[t].scale);
    UNROLL for (int r = 0; r < R; r++)
      acc[r][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[r]), _mm512_mul_ps(p[r].scale, scale), acc[r][t]);
  }
}

/* Sums of vectors pairwise, 16 bytes at a time: a, b, a, b. */
INLINE __m512 add_pairs(__m512 a, __m512 b) { return _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)); }
INLINE __m512 add_twos(__m512 a, __m512 b) {
  __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
  return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
}

/* The sum of each of eight vectors. */
INLINE __m256 sum_eight(const __m512 v[8]) {
  __m512 a = add_twos(add_pairs(v[0], v[1]), add_pairs(v[2], v[3]));
  __m512 b = add_twos(add_pairs(v[4], v[5]), add_pairs(v[6], v[7]));
  __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  ab = _mm512_add_ps(ab, _mm512_shuffle_f32x4(ab, ab, 0xb1));
  return _mm512_castps512_ps256(_mm512_shuffle_f32x4(ab, ab, 0x08));
}

/* The same for one vector, in the same order: a token's bits do not depend on the number of tokens. */
INLINE float sum_one(__m512 v) {
  v = _mm512_add_ps(v, _mm512_permute_ps(v, 0x4e));
  v = _mm512_add_ps(v, _mm512_permute_ps(v, 0xb1));
  __m256 lanes = _mm256_add_ps(_mm512_castps512_ps256(v), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1)));
  return _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1)));
}

/* Dot products of R weight rows of `blocks` blocks with T tokens' activations from token t on; out: `stride` from row to row. */
INLINE void dot_blocks(int type, int R, const void *rows, Index blocks, const Activations *a, Index t, Index T, float *out, Index stride) {
  __m512 acc[INTEGER_ROWS][INTEGER_TOKENS];
  UNROLL for (int r = 0; r < R; r++) {
    UNROLL for (int i = 0; i < T; i++) acc[r][i] = _mm512_setzero_ps();
  }
  const TokenGroup *x = a->group + t;
  const char *w = rows, *ahead = w + FETCH_BYTES;
  const Index row_bytes = (Index)packed_bytes(type, blocks * BLOCK);
  for (; blocks >= GROUP; blocks -= GROUP, w += packed_bytes(type, GROUP * BLOCK), x += a->tokens) {
    /* In memory order, whatever the rows: two streams at once are read at half the speed. */
    const Index step = R * (Index)packed_bytes(type, GROUP * BLOCK);
    for (Index at = 0; at < step; at += 64) __builtin_prefetch(ahead + at);
    ahead += step;
    add_group(type, R, w, row_bytes, GROUP, x, T, acc);
  }
  if (blocks > 0) add_group(type, R, w, row_bytes, blocks, x, T, acc);
  UNROLL for (int r = 0; r < R; r++, out += stride) {
    if (T > 4) {
      UNROLL for (int i = T; i < 8; i++) acc[r][i] = _mm512_setzero_ps();
      _mm256_mask_storeu_ps(out, (1 << T) - 1, sum_eight(acc[r]));
    } else {
      UNROLL for (int i = 0; i < T; i++) out[i] = sum_one(acc[r][i]);
    }
  }
}

#endif
