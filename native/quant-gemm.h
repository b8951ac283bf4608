/*
 * Matrix products of activations with q8_0 and q4_0 weights in integers, on processors that multiply and sum four
 * bytes at once: y = x Wᵀ, both sides scaled per block of 32 along k. Panels of weights are packed so that a vector
 * holds four neighbours along k of VW output channels; for each block a tile of integer sums is computed in registers, then
 * scaled and added to a tile of floats. Weights are decoded and packed once, whatever the number of tokens.
 */
#ifndef GPT2_QUANT_GEMM_H
#define GPT2_QUANT_GEMM_H

#include "gemm.h"
#include "quant-dot.h"

#if defined(__AVX512VNNI__) || (defined(__AVXVNNI__) && VW == 8) || defined(__ARM_FEATURE_DOTPROD)
#define INTEGER_GEMM 1

/* Tokens in a tile: NV vectors of integers and of floats for each fill the registers. */
#if defined(__AVX512VNNI__)
#define TILE_TOKENS 6
#elif defined(__AVXVNNI__)
#define TILE_TOKENS 3
#else
#define TILE_TOKENS 4
#endif
/* Blocks of k per pass: a panel of weights stays in the first-level cache. */
#define PASS_BLOCKS 48
#define QUADS (BLOCK / 4)
/* Bytes of a block of one token, of a panel's block: integers and, for each row, the scale and start of its sum. */
#define TOKEN_BLOCK (BLOCK + 8)
#define PANEL_BLOCK (NR * (BLOCK + 4))

INLINE vi dot_quads(vi sum, vi w, vi x) {
#if defined(__AVX512VNNI__)
  return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, (__m512i)x);
#elif defined(__AVXVNNI__)
  return (vi)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w, (__m256i)x);
#else
  return (vi)vdotq_s32((int32x4_t)sum, (int8x16_t)w, (int8x16_t)x);
#endif
}

INLINE vi splat_int(const void *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return x - (vi){0};
}

/* ---- Prefetching ---- */

/* The lines of `rows` rows of `bytes` bytes, `stride` apart; `left` of them still to be fetched. */
typedef struct {
  const char *row;
  Index stride, lines, line, left;
} Coming;

INLINE void fetch_coming(Coming *c, Index count) {
  if (count > c->left) count = c->left;
  const char *row = c->row;
  Index line = c->line;
  c->left -= count;
  for (; count > 0; count--) {
    __builtin_prefetch(row + line * 64);
    if (++line == c->lines) line = 0, row += c->stride;
  }
  c->row = row, c->line = line;
}

/* ---- Packing ---- */

/* sums[i] = the integers of block i added up, from vectors of partial sums. */
INLINE void block_sums(vi v[SCALED], int32_t sums[SCALED]) {
#if VW == 16
  __m512 f[16];
  UNROLL for (int i = 0; i < 16; i++) f[i] = _mm512_castsi512_ps((__m512i)v[i]);
  COMBINE_16(f, ADD_INTEGERS)
  _mm512_storeu_ps((float *)sums, f[0]);
#else
  sums[0] = vsum_int(v[0]);
#endif
}

/* Tokens [0, rows) of x: for each block the integers of all tokens, their scales, and the initial values of their sums. */
static __attribute__((noinline)) void pack_tokens(int type, const float *x, Index rows, Index IC, char *dst) {
  const int offset = OFFSET(type);
  (void)type;
  for (Index i = 0; i < rows; i++, x += IC) {
    for (Index b = 0; b < IC / BLOCK; b += SCALED) {
      const Index count = IC / BLOCK - b < SCALED ? IC / BLOCK - b : SCALED;
      float scale[SCALED], inverse[SCALED];
      int32_t sums[SCALED];
      vi sum[SCALED] = {{0}};
      char *to = dst + b * rows * TOKEN_BLOCK;
      activation_scales(x + b * BLOCK, count, scale, inverse);
      for (Index j = 0; j < count; j++) {
        UNROLL for (int k = 0; k < BLOCK; k += VW) {
          vi q = vround(vload(x + (b + j) * BLOCK + k) * inverse[j]);
          sum[j] += q;
          *(vb_memory *)(to + j * rows * TOKEN_BLOCK + i * BLOCK + k) = __builtin_convertvector(q, vb);
        }
      }
      block_sums(sum, sums);
      for (Index j = 0; j < count; j++) {
        float *scales = (float *)(to + j * rows * TOKEN_BLOCK + rows * BLOCK);
        scales[i] = scale[j];
        ((int32_t *)scales)[rows + i] = -offset * sums[j];
      }
    }
  }
}

/* 16 bytes each of rows 0, 4, 8, ... after p, `stride` bytes apart: one to each lane of 128 bits. */
INLINE vi load_lanes(const char *p, Index stride) {
#if VW == 16
  __m512i v = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)p));
  v = _mm512_mask_broadcast_i32x4(v, 0x00f0, _mm_loadu_si128((const void *)(p + 4 * stride)));
  v = _mm512_mask_broadcast_i32x4(v, 0x0f00, _mm_loadu_si128((const void *)(p + 8 * stride)));
  return (vi)_mm512_mask_broadcast_i32x4(v, 0xf000, _mm_loadu_si128((const void *)(p + 12 * stride)));
#elif VW == 8
  __m256i v = _mm256_castsi128_si256(_mm_loadu_si128((const void *)p));
  return (vi)_mm256_inserti128_si256(v, _mm_loadu_si128((const void *)(p + 4 * stride)), 1);
#else
  (void)stride;
  return (vi)vld1q_s32((const void *)p);
#endif
}

#if VW == 16
#define ZIP(half, bits, a, b) (vi)_mm512_unpack##half##_epi##bits((__m512i)(a), (__m512i)(b))
#elif VW == 8
#define ZIP(half, bits, a, b) (vi)_mm256_unpack##half##_epi##bits((__m256i)(a), (__m256i)(b))
#else
#define ZIP(half, bits, a, b) ZIP_##half##bits(a, b)
#define ZIP_lo32(a, b) (vi)vzip1q_s32((int32x4_t)(a), (int32x4_t)(b))
#define ZIP_hi32(a, b) (vi)vzip2q_s32((int32x4_t)(a), (int32x4_t)(b))
#define ZIP_lo64(a, b) (vi)vzip1q_s64((int64x2_t)(a), (int64x2_t)(b))
#define ZIP_hi64(a, b) (vi)vzip2q_s64((int64x2_t)(a), (int64x2_t)(b))
#endif

/* Vector i gets the i-th four bytes of VW rows' 16 from p on. */
INLINE void load_quads(const char *p, Index stride, vi quads[4]) {
  vi v0 = load_lanes(p, stride), v1 = load_lanes(p + stride, stride), v2 = load_lanes(p + 2 * stride, stride),
     v3 = load_lanes(p + 3 * stride, stride);
  vi a = ZIP(lo, 32, v0, v1), b = ZIP(lo, 32, v2, v3), c = ZIP(hi, 32, v0, v1), d = ZIP(hi, 32, v2, v3);
  quads[0] = ZIP(lo, 64, a, b), quads[1] = ZIP(hi, 64, a, b), quads[2] = ZIP(lo, 64, c, d), quads[3] = ZIP(hi, 64, c, d);
}

/* The integers of VW rows' block at p as QUADS vectors, `step` apart, ready to be multiplied: see OFFSET. */
INLINE void pack_block(int type, const char *p, Index stride, char *dst, Index step) {
  vi quads[4];
  if (type == Q8_0) {
    const vi sign = (vi){0} + (OFFSET(Q8_0) ? (int32_t)0x80808080 : 0);
    UNROLL for (int half = 0; half < 2; half++) {
      load_quads(p + 2 + 16 * half, stride, quads);
      UNROLL for (int i = 0; i < 4; i++) vstore((float *)(dst + (4 * half + i) * step), (vf)(quads[i] ^ sign));
    }
  } else {
    const vi nibbles = (vi){0} + 0x0f0f0f0f;
    load_quads(p + 2, stride, quads);
    UNROLL for (int i = 0; i < 4; i++) {
      vi low = quads[i] & nibbles, high = quads[i] >> 4 & nibbles;
#if defined(__aarch64__)
      low = (vi)vsubq_s8((int8x16_t)low, vdupq_n_s8(8)), high = (vi)vsubq_s8((int8x16_t)high, vdupq_n_s8(8));
#endif
      vstore((float *)(dst + i * step), (vf)low);
      vstore((float *)(dst + (4 + i) * step), (vf)high);
    }
  }
}

/* NR rows of w, blocks [b0, b0 + blocks) of each, to a panel; rows from n on are undefined. */
static __attribute__((noinline)) void pack_panel(int type, const char *w, Index stride, Index n, Index b0, Index blocks, char *dst, Coming *coming, Index share) {
  const Index bytes = (Index)packed_bytes(type, BLOCK);
  uint16_t scales[PASS_BLOCKS][NR];
  char last[VW * sizeof(BlockQ8)];
  w += b0 * bytes;
  for (Index b = 0; b < blocks; b++) {
    fetch_coming(coming, share);
    UNROLL for (int v = 0; v < NV; v++) {
      const char *from = w + v * VW * stride + b * bytes;
      Index step = stride;
      if ((v + 1) * VW > n) {
        for (Index r = 0; r < VW && v * VW + r < n; r++) memcpy(last + r * bytes, from + r * stride, (size_t)bytes);
        from = last, step = bytes;
      }
      char *to = dst + b * PANEL_BLOCK + v * 4 * VW;
      if (type == Q8_0) pack_block(Q8_0, from, step, to, NV * 4 * VW);
      else pack_block(Q4_0, from, step, to, NV * 4 * VW);
      UNROLL for (int i = 0; i < VW; i++, from += step) memcpy(&scales[b][v * VW + i], from, sizeof(uint16_t));
    }
  }
  for (Index b = 0; b < blocks; b++) {
    UNROLL for (int v = 0; v < NV; v++)
      vstore((float *)(dst + b * PANEL_BLOCK + NR * BLOCK) + v * VW, vload_f16(scales[b] + v * VW));
  }
}

/* ---- Products ---- */

/* tile [tokens][NR] = products of `tokens` packed tokens and a packed panel. */
INLINE void integer_tile(Index tokens, Index blocks, const char *x, const char *w, float *tile, Coming *coming, Index share) {
  vf acc[TILE_TOKENS][NV];
  UNROLL for (int i = 0; i < tokens; i++) {
    UNROLL for (int j = 0; j < NV; j++) acc[i][j] = (vf){0};
  }
  for (Index b = 0; b < blocks; b++) {
    const char *scales = x + tokens * BLOCK, *starts = scales + tokens * sizeof(float);
    vi sum[TILE_TOKENS][NV];
    UNROLL for (int i = 0; i < tokens; i++) {
      UNROLL for (int j = 0; j < NV; j++) sum[i][j] = splat_int(starts + 4 * i);
    }
    UNROLL for (int k = 0; k < QUADS; k++) {
      vi wv[NV];
      UNROLL for (int j = 0; j < NV; j++) wv[j] = (vi)vload((const float *)(w + (k * NV + j) * 4 * VW));
      UNROLL for (int i = 0; i < tokens; i++) {
        vi xv = splat_int(x + i * BLOCK + 4 * k);
        UNROLL for (int j = 0; j < NV; j++) sum[i][j] = dot_quads(sum[i][j], wv[j], xv);
      }
    }
    UNROLL for (int j = 0; j < NV; j++) {
      vf ws = vload((const float *)(w + NR * BLOCK) + j * VW);
      UNROLL for (int i = 0; i < tokens; i++)
        acc[i][j] += __builtin_convertvector(sum[i][j], vf) * (ws * ((const float *)scales)[i]);
    }
    if (coming->left > 0) fetch_coming(coming, share);
    x += tokens * TOKEN_BLOCK;
    w += PANEL_BLOCK;
  }
  UNROLL for (int i = 0; i < tokens; i++) {
    UNROLL for (int j = 0; j < NV; j++) vstore(tile + i * NR + j * VW, acc[i][j]);
  }
}

static __attribute__((noinline)) void integer_tiles(Index tokens, Index blocks, const char *x, const char *w, float *tile, Coming *coming, Index share) {
#define CASE(n) \
  case n: \
    if (n <= TILE_TOKENS) integer_tile(n, blocks, x, w, tile, coming, share); \
    break;
  switch (tokens) {
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
  }
#undef CASE
}

/* Cost of packing an element of the activations and of the weights, in multiply-adds: measured with AVX-512 VNNI. */
#define ROUNDING_COST 200
#define UNPACKING_COST 20
#define TOKENS_BUDGET (1L << 20) /* bytes of activations packed at once, for the second-level cache */

/* Rows [0, tokens) of out = epilogue(x Wᵀ), columns [j0, j1); `row` is the position of out's first row in the whole. */
static void integer_product(Ctx *ctx, int type, Index tokens, Index IC, Index OC, const float *x, const char *w, float *out, const Epilogue *e,
                            Index row, Index j0, Index j1) {
  const Index panels = (tokens + TILE_TOKENS - 1) / TILE_TOKENS; /* even ones */
  const Index blocks = IC / BLOCK, passes = (blocks + PASS_BLOCKS - 1) / PASS_BLOCKS;
  const Index row_bytes = (Index)packed_bytes(type, IC);
  size_t token_bytes = ROUND_UP((size_t)tokens * blocks * TOKEN_BLOCK, 64);
  char *xp = scratch_bytes(ctx, token_bytes + PASS_BLOCKS * PANEL_BLOCK);
  if (!xp) return;
  char *wp = xp + token_bytes;
  for (Index p = 0; p < panels; p++) {
    Index from = tokens * p / panels, to = tokens * (p + 1) / panels;
    pack_tokens(type, x + from * IC, to - from, IC, xp + from * blocks * TOKEN_BLOCK);
  }
  for (Index pass = 0; pass < passes; pass++) {
    Index b0 = blocks * pass / passes, b1 = blocks * (pass + 1) / passes;
    for (Index j = j0; j < j1; j += NR) {
      Index n = j1 - j < NR ? j1 - j : NR, next = j1 - j - n < NR ? j1 - j - n : NR;
      Index lines = (Index)(packed_bytes(type, (b1 - b0) * BLOCK) + 63) / 64;
      Coming coming = {packed_at(type, w + (j + n) * row_bytes, b0 * BLOCK), row_bytes, lines, 0, next * lines};
      Index share = coming.left / ((panels + 1) * (b1 - b0)) + 1;
      pack_panel(type, w + j * row_bytes, row_bytes, n, b0, b1 - b0, wp, &coming, share);
      for (Index p = 0; p < panels; p++) {
        Index from = tokens * p / panels, to = tokens * (p + 1) / panels;
        float tile[TILE_TOKENS * NR] __attribute__((aligned(64)));
        const char *xs = xp + (from * blocks + b0 * (to - from)) * TOKEN_BLOCK;
        const Epilogue *last = pass + 1 == passes ? e : NULL;
        fetch_tiles(out + from * OC + j, OC, to - from, n, last, row + from, j);
        integer_tiles(to - from, b1 - b0, xs, wp, tile, &coming, share);
        finish_tile(tile, out + from * OC + j, OC, to - from, n, pass > 0, 0, last, row + from, j);
      }
    }
  }
}

/* out [N x OC] = epilogue(x [N x IC] Wᵀ), with the rounding of x that round_activations does. */
static void integer_gemm(Ctx *ctx, int type, Index N, Index IC, Index OC, const float *x, const char *w, float *out, const Epilogue *e) {
  Index i0, i1, j0, j1;
  gemm_part(ctx, N, OC, MR, NR, ROUNDING_COST, UNPACKING_COST, &i0, &i1, &j0, &j1);
  if (i0 >= i1 || j0 >= j1) return;
  const Index tokens = i1 - i0, parts = (tokens * (IC / BLOCK) * TOKEN_BLOCK + TOKENS_BUDGET - 1) / TOKENS_BUDGET;
  for (Index p = 0; p < parts; p++) {
    Index from = i0 + tokens * p / parts, to = i0 + tokens * (p + 1) / parts;
    integer_product(ctx, type, to - from, IC, OC, x + from * IC, w, out + from * OC, e, from, j0, j1);
  }
}

#endif
#endif
