/*
 * quant-dot.h for AVX-512 VNNI, whose dot products of bytes need so little arithmetic that loads and scales are what
 * counts. Eight blocks of a row are one group: four vectors of two blocks each are multiplied, then added up crosswise
 * until 16 sums remain, two for each block in the order SLOT, and those are scaled together.
 */
#ifndef GPT2_QUANT_DOT_VNNI_H
#define GPT2_QUANT_DOT_VNNI_H

#include "quant.h"

#define GROUP 8
#define SLOTS 16
/* Where the first half of block i of a group has its sum; the second half, 4 further. */
#define SLOT(i) ((i) % 2 * 8 + (i) / 2)

/* Weights are made unsigned for the instruction by adding this. */
#define OFFSET(type) ((type) == Q8_0 ? 128 : 8)

/* ---- Activations ---- */

/* Rows of `groups` groups each, the last filled with zeros: integers q; for each slot, scale and -OFFSET times the sum. */
typedef struct {
  long groups;
  int8_t *q;
  float *scale;
  int32_t *start;
} Activations;

INLINE size_t activations_bytes(long rows, long blocks) {
  size_t groups = (size_t)rows * ((blocks + GROUP - 1) / GROUP);
  return groups * (GROUP * BLOCK + SLOTS * sizeof(float) + SLOTS * sizeof(int32_t));
}

/* The rows of x, rounded as round_activations does, to memory of activations_bytes. */
static __attribute__((noinline, unused)) Activations quantise_activations(int type, const float *x, long rows, long blocks, void *memory) {
  Activations a = {.groups = (blocks + GROUP - 1) / GROUP, .q = memory};
  a.scale = (float *)(a.q + rows * a.groups * GROUP * BLOCK);
  a.start = (int32_t *)(a.scale + rows * a.groups * SLOTS);
  for (long r = 0; r < rows; r++) {
    for (long b = 0; b < a.groups * GROUP; b++) {
      float inverse = 0, scale = b < blocks ? activation_scale(x + (r * blocks + b) * BLOCK, &inverse) : 0;
      long group = r * a.groups + b / GROUP, slot = group * SLOTS + SLOT(b % GROUP);
      UNROLL for (int half = 0; half < 2; half++) {
        __m512i q = b < blocks ? (__m512i)vround(vload(x + (r * blocks + b) * BLOCK + half * 16) * inverse) : _mm512_setzero_si512();
        _mm_storeu_si128((void *)(a.q + (group * GROUP + b % GROUP) * BLOCK + half * 16), _mm512_cvtepi32_epi8(q));
        int factor = type == Q4_0 && half ? 16 : 1; /* see products_q4 */
        a.start[slot + 4 * half] = -OFFSET(type) * factor * _mm512_reduce_add_epi32(q);
        a.scale[slot + 4 * half] = scale / (float)factor;
      }
    }
  }
  return a;
}

/* ---- Rows ---- */

/* Tokens whose sums are in registers together. */
#define INTEGER_TOKENS 8

typedef struct {
  __m512i w[GROUP / 2];
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

/* Eight blocks are 272 bytes; scales of the first four lie in the first 128, those of the others in as many from there. */
INLINE Products products_q8(const BlockQ8 *b) {
  Products p;
  const char *bytes = (const char *)b, *later = (const char *)(b + 4);
  UNROLL for (int i = 0; i < GROUP / 2; i++) {
    __m512i w = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)b[2 * i].q));
    w = _mm512_inserti64x4(w, _mm256_loadu_si256((const void *)b[2 * i + 1].q), 1);
    p.w[i] = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
  }
  const __m512i words = WORDS(17, 0), words4 = WORDS(17, 4);
  __m512i s = _mm512_permutex2var_epi16(_mm512_loadu_si512(bytes), words, _mm512_loadu_si512(bytes + 64));
  __m512i s4 = _mm512_permutex2var_epi16(_mm512_loadu_si512(later), words4, _mm512_loadu_si512(later + 64));
  p.scale = _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_mask_blend_epi16(0xcccc, s, s4)));
  return p;
}

/* The words of a pair of blocks from word w on, the nibbles of each twice. */
#define PAIR(w)                                                                                                        \
  _mm512_set_epi16(w + 17, w + 16, w + 15, w + 14, w + 13, w + 12, w + 11, w + 10, w + 17, w + 16, w + 15, w + 14,     \
                   w + 13, w + 12, w + 11, w + 10, w + 8, w + 7, w + 6, w + 5, w + 4, w + 3, w + 2, w + 1, w + 8,      \
                   w + 7, w + 6, w + 5, w + 4, w + 3, w + 2, w + 1)

/*
 * Eight blocks are 144 bytes: three loads, as loads are what this takes most of. All scales lie in the first two. High
 * halves of bytes stay where they are, 16 times as large; the activations' scales make up for that.
 */
INLINE Products products_q4(const BlockQ4 *b) {
  Products p;
  const char *bytes = (const char *)b;
  const __m512i halves = _mm512_set_epi32(0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f,
                                          0x0f0f0f0f, 0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0x0f0f0f0f, 0x0f0f0f0f,
                                          0x0f0f0f0f, 0x0f0f0f0f);
  __m512i v0 = _mm512_loadu_si512(bytes), v1 = _mm512_loadu_si512(bytes + 64), v2 = _mm512_loadu_si512(bytes + 80);
  p.w[0] = _mm512_and_si512(halves, _mm512_permutexvar_epi16(PAIR(0), v0));
  p.w[1] = _mm512_and_si512(halves, _mm512_permutex2var_epi16(v0, PAIR(18), v1));
  p.w[2] = _mm512_and_si512(halves, _mm512_permutexvar_epi16(PAIR(4), v1));
  p.w[3] = _mm512_and_si512(halves, _mm512_permutexvar_epi16(PAIR(14), v2));
  p.scale = _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutex2var_epi16(v0, WORDS(9, 0), v1)));
  return p;
}

/* Four sums to a lane of 128 bits: those of v[0], v[1], v[2], v[3]. */
INLINE __m512i add_crosswise(const __m512i v[4]) {
  __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
  __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* Adds the products of a group of weights and group g of T tokens' activations to acc. */
INLINE void add_group(int type, const void *w, long g, const Activations *a, long t0, long T, __m512 *acc) {
  Products p = type == Q8_0 ? products_q8(w) : products_q4(w);
  UNROLL for (int t = 0; t < T; t++) {
    long at = (t0 + t) * a->groups + g;
    __m512i v[GROUP / 2];
    UNROLL for (int i = 0; i < GROUP / 2; i++)
      v[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), p.w[i], _mm512_loadu_si512(a->q + at * GROUP * BLOCK + 64 * i));
    __m512i sum = _mm512_add_epi32(add_crosswise(v), _mm512_loadu_si512(a->start + at * SLOTS));
    acc[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(p.scale, _mm512_loadu_ps(a->scale + at * SLOTS)), acc[t]);
  }
}

/* Dot products of one weight row of `blocks` blocks with T tokens' activations from token t on. */
INLINE void dot_blocks(int type, const void *row, long blocks, const Activations *a, long t, long T, float *out) {
  __m512 acc[INTEGER_TOKENS];
  UNROLL for (int i = 0; i < T; i++) acc[i] = _mm512_setzero_ps();
  long g = 0;
  for (; (g + 1) * GROUP <= blocks; g++) {
    const char *w = packed_at(type, row, g * GROUP * BLOCK);
    for (int line = 0; line < (type == Q8_0 ? 4 : 2); line++) __builtin_prefetch(w + FETCH_BYTES + 64 * line);
    add_group(type, w, g, a, t, T, acc);
  }
  if (g * GROUP < blocks) { /* what is left, filled with zeros */
    BlockQ8 rest[GROUP];
    memset(rest, 0, sizeof rest);
    memcpy(rest, packed_at(type, row, g * GROUP * BLOCK), packed_bytes(type, (blocks - g * GROUP) * BLOCK));
    add_group(type, rest, g, a, t, T, acc);
  }
  UNROLL for (int i = 0; i < T; i++) out[i] = vsum((vf)acc[i]);
}

#endif
