/*
 * Products in bf16 of weights and few tokens on tile registers: y = x Wᵀ. Weights are read once, in memory order: a tile of them,
 * 16 rows of 32 along k, is read where it lies, or first widened or unpacked to bf16; times up to four tiles of 16 tokens each. Sums stay
 * in tile registers over all of k, in its order: a token's bits are those that tile_gemm gives it, and do not depend on the others.
 */
#ifndef GPT2_FEW_TILES_H
#define GPT2_FEW_TILES_H

#include "gemm.h"
#include "quant-gemm.h"

#define FEW_TILES 4
#define MOST_FEW (FEW_TILES * TILE_ROWS) /* tokens */

/* Tiles 0 to 3: sums; 4 and 5: weights; 6 and 7: tokens, 16 in a tile or one. */
#define SHAPES(tokens)                                                                                              \
  {                                                                                                                 \
    .palette = 1, .rows = {16, 16, 16, 16, 16, 16, 16, 16},                                                         \
    .row_bytes = {4 * tokens, 4 * tokens, 4 * tokens, 4 * tokens, 64, 64, 4 * tokens, 4 * tokens}                   \
  }
static const TileShapes shapes_of_many = SHAPES(TILE_ROWS), shapes_of_one = SHAPES(1);
#undef SHAPES

/* ---- Tokens ---- */

/* n of 32 neighbours as pairs, zeros beyond. */
INLINE vf load_row_pairs(const float *p, Index n) {
  if (n >= TILE_K) return vload_pairs(p);
  float part[TILE_K] = {0};
  return vload_pairs(memcpy(part, p, (size_t)n * sizeof *p));
}

/* Up to 16 tokens of K values, ld apart: [steps][16 pairs][width], width being 1 or 16. */
static __attribute__((noinline)) void pack_few(const float *x, Index ld, Index tokens, Index K, Index width, float *to) {
  for (Index k = 0; k < K; k += TILE_K, to += TILE_ROWS * width) {
    if (width == 1) {
      vstore(to, load_row_pairs(x + k, K - k));
      continue;
    }
    vf r[VW];
    for (Index t = 0; t < VW; t++) r[t] = t < tokens ? load_row_pairs(x + t * ld + k, K - k) : (vf){0};
    vtranspose(r);
    UNROLL for (int i = 0; i < VW; i++) vstore(to + i * VW, r[i]);
  }
}

/* ---- Weights ---- */

/* 16 rows of weights, `stride` bytes apart. */
typedef struct {
  const char *w;
  Index stride, K;
} Rows;

/* Values k to k + 31 of the rows as a tile: [16][32] halves. */
INLINE void unpack_tile(int type, const Rows *p, Index k, uint16_t *to) {
  const char *w = packed_at(type, p->w, k);
#pragma GCC unroll 4
  for (int r = 0; r < TILE_ROWS; r++, w += p->stride, to += TILE_K) {
    vf pairs;
    if (is_integer_type(type)) pairs = block_pairs(type, w);
    else if (type == F32) pairs = load_row_pairs((const float *)w, p->K - k);
    else pairs = load_weight_pairs(type, w, 0, p->K - k);
    vstore((float *)to, pairs);
  }
}

/* ---- Products ---- */

/* sums [T][16 rows][width]: products of the rows and T tiles of tokens. Meanwhile `share` lines are prefetched in each step. */
INLINE void multiply_rows(int type, int T, const Rows *p, const float *x, Index width, float *sums, Coming *coming, Index share) {
  uint16_t unpacked[2][TILE_HALVES] __attribute__((aligned(64)));
  const Index steps = ROUND_UP(p->K, TILE_K) / TILE_K, tile = TILE_ROWS * width, row = width * (Index)sizeof(float);
  const Index whole = type == BF16 ? p->K / TILE_K : 0; /* steps that are read where they lie */
  Coming next = *coming;
  TILES_READ_MEMORY;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
#define STEP_OF(a, b, c, s)                                                                                            \
  if ((s) < steps) {                                                                                                   \
    const float *xs = x + (s) * tile;                                                                                  \
    fetch_coming(&next, share);                                                                                        \
    if ((s) < whole) {                                                                                                 \
      _tile_loadd(a, p->w + (s) * TILE_K * (Index)sizeof(uint16_t), p->stride);                                        \
    } else {                                                                                                           \
      unpack_tile(type, p, (s) * TILE_K, unpacked[a - 4]);                                                             \
      TILES_READ_MEMORY;                                                                                               \
      _tile_loadd(a, unpacked[a - 4], TILE_K * sizeof(uint16_t));                                                      \
    }                                                                                                                  \
    _tile_loadd(b, xs, row);                                                                                           \
    _tile_dpbf16ps(0, a, b);                                                                                           \
    if (T > 1) { _tile_loadd(c, xs + steps * tile, row); _tile_dpbf16ps(1, a, c); }                                    \
    if (T > 2) { _tile_loadd(b, xs + 2 * steps * tile, row); _tile_dpbf16ps(2, a, b); }                                \
    if (T > 3) { _tile_loadd(c, xs + 3 * steps * tile, row); _tile_dpbf16ps(3, a, c); }                                \
  }
  for (Index s = 0; s < steps; s += 2) {
    STEP_OF(4, 6, 7, s)
    STEP_OF(5, 7, 6, s + 1)
  }
#undef STEP_OF
  _tile_stored(0, sums, row);
  if (T > 1) _tile_stored(1, sums + tile, row);
  if (T > 2) _tile_stored(2, sums + 2 * tile, row);
  if (T > 3) _tile_stored(3, sums + 3 * tile, row);
  *coming = next;
}

static __attribute__((noinline)) void multiply_few(int type, Index T, const Rows *p, const float *x, Index width, float *sums, Coming *coming,
                                                   Index share) {
#define OF(type)                                                                                                       \
  case type:                                                                                                           \
    if (T == 1) multiply_rows(type, 1, p, x, width, sums, coming, share);                                              \
    else if (T == 2) multiply_rows(type, 2, p, x, width, sums, coming, share);                                         \
    else multiply_rows(type, FEW_TILES, p, x, width, sums, coming, share);                                             \
    break;
  switch (type) { OF(F32) OF(F16) OF(BF16) OF(Q8_0) OF(Q4_0) }
#undef OF
}

/* out [N x OC] = epilogue(x [N x IC] Wᵀ), N <= MOST_FEW; both factors are rounded to bf16. */
static void few_gemm(Ctx *ctx, int type, Index N, Index IC, Index OC, const float *x, const char *w, float *out, const Epilogue *e) {
  int64_t from, to;
  split(ctx, OC, TILE_ROWS, &from, &to);
  if (from >= to) return;
  const Index width = N == 1 ? 1 : TILE_ROWS, T = N <= TILE_ROWS ? 1 : N <= 2 * TILE_ROWS ? 2 : FEW_TILES;
  const Index steps = ROUND_UP(IC, TILE_K) / TILE_K, tile = TILE_ROWS * width, row_bytes = (Index)packed_bytes(type, IC);
  const Index floats = T * steps * tile;
  float *xp = scratch_bytes(ctx, (size_t)floats * sizeof(float) + (size_t)(TILE_ROWS * row_bytes));
  if (!xp) return;
  for (Index t = 0; t < T; t++) {
    const Index left = N - t * TILE_ROWS;
    if (left > 0) pack_few(x + t * TILE_ROWS * IC, IC, left < TILE_ROWS ? left : TILE_ROWS, IC, width, xp + t * steps * tile);
    else memset(xp + t * steps * tile, 0, (size_t)(steps * tile) * sizeof(float));
  }
  _tile_loadconfig(width == 1 ? &shapes_of_one : &shapes_of_many);
  for (Index j = from; j < to; j += TILE_ROWS) {
    float sums[FEW_TILES * TILE_ROWS * TILE_ROWS] __attribute__((aligned(64)));
    const Index rows = to - j < TILE_ROWS ? to - j : TILE_ROWS, after = to - j - rows < TILE_ROWS ? to - j - rows : TILE_ROWS;
    const Index lines = (after * row_bytes + 63) / 64;
    Rows p = {w + j * row_bytes, row_bytes, IC};
    Coming coming = {p.w + rows * row_bytes, 0, lines, 0, lines};
    if (rows < TILE_ROWS) p.w = memcpy(xp + floats, p.w, (size_t)(rows * row_bytes)); /* the others are undefined */
    multiply_few(type, T, &p, xp, width, sums, &coming, lines / steps + 1);
    for (Index t = 0; t * TILE_ROWS < N; t++) {
      float finished[TILE_ROWS * NR] __attribute__((aligned(64)));
      const Index i = t * TILE_ROWS, m = N - i < TILE_ROWS ? N - i : TILE_ROWS;
      if (width == 1) {
        vstore(finished, vload(sums));
      } else {
        vf r[VW];
        UNROLL for (int k = 0; k < VW; k++) r[k] = vload(sums + t * tile + k * VW);
        vtranspose(r);
        UNROLL for (int k = 0; k < VW; k++) vstore(finished + k * NR, r[k]);
      }
      finish_tile(finished, out + i * OC + j, OC, m, rows, 0, 0, e, i, j);
    }
  }
  tiles_end();
}

#endif
