/*
 * Matrix products in single precision. Naively, for each element of C, a dot product of a row of A and a column of B, which
 * reads each operand from memory many times. Here they are blocked as in Goto & van de Geijn 2008: operands are packed into panels
 * of MR rows (A) and NR columns (B) so that the innermost loop reads both in order and keeps an MR x NR tile in registers.
 * Every element of C is summed over k in the same order, whatever the blocking by threads, so bits do not depend on it.
 */
#ifndef GPT2_GEMM_H
#define GPT2_GEMM_H

#include "bf16.h"
#include "op.h"
#include "quant.h"
#include "vec.h"

/* k per pass: a B panel of KC x NR floats stays in the first-level cache */
#if VW == 16
#define KC 192
#else
#define KC 320
#endif
#define KGROUP (6 * KC) /* k for which A is packed at once */
#define NC (16 * NR) /* columns per pass: KC x NC floats of B in the second-level cache */
#define A_BUDGET (1L << 20) /* floats of A packed at once, read from the last-level cache */

#if defined(__wasm__)
#define FETCHES 0 /* it has no such instruction */
#else
#define FETCHES 1
#endif
#define LINE_FLOATS 16 /* floats in a cache line */

/* Applied to a tile of C when its sum over k is complete. */
typedef struct {
  const float *bias;      /* [N], added */
  float *preact;          /* like C, gets the value before the activation */
  const float *residual;  /* like C, added after the activation */
  const float *grad_of;   /* like C: multiply by gelu'(grad_of) */
  Index ld;                /* row length of preact, residual and grad_of */
  int gelu;
} Epilogue;

#if PAIRS && defined(__aarch64__)
#define PAIR_BLOCKS 1
/*
 * micro_rows on pairs. BFMMLA adds products over four k of two rows and two columns: its factors are two steps of a panel,
 * interleaved.
 */
INLINE void micro_blocks(int rows, Index steps, const float *restrict a, const float *restrict b, float *restrict c, Index ldc, int load_c) {
  vf acc[MR / 2][NR / 2];
  UNROLL for (int i = 0; i < rows / 2; i++) {
    UNROLL for (int j = 0; j < NR / 2; j++) acc[i][j] = (vf){0};
  }
  for (Index k = 0; k < steps; k += 2) {
    bfloat16x8_t av[MR / 2];
    const int both = k + 1 < steps;
    UNROLL for (int i = 0; i < rows; i += VW) {
      vf first = vload(a + i), second = both ? vload(a + MR + i) : (vf){0};
      av[i / 2] = (bfloat16x8_t)vzip_lo(first, second);
      av[i / 2 + 1] = (bfloat16x8_t)vzip_hi(first, second);
    }
    UNROLL for (int j = 0; j < NR; j += VW) {
      vf first = vload(b + j), second = both ? vload(b + NR + j) : (vf){0};
      bfloat16x8_t left = (bfloat16x8_t)vzip_lo(first, second), right = (bfloat16x8_t)vzip_hi(first, second);
      UNROLL for (int i = 0; i < rows / 2; i++) {
        acc[i][j / 2] = (vf)vbfmmlaq_f32((float32x4_t)acc[i][j / 2], av[i], left);
        acc[i][j / 2 + 1] = (vf)vbfmmlaq_f32((float32x4_t)acc[i][j / 2 + 1], av[i], right);
      }
    }
    a += 2 * MR;
    b += 2 * NR;
  }
  UNROLL for (int i = 0; i < rows / 2; i++) {
    UNROLL for (int j = 0; j < NR; j += VW) {
      vf left = acc[i][j / 2], right = acc[i][j / 2 + 1];
      float *upper = c + 2 * i * ldc + j, *lower = upper + ldc;
      vf low = __builtin_shufflevector(left, right, 0, 1, 4, 5), high = __builtin_shufflevector(left, right, 2, 3, 6, 7);
      vstore(upper, load_c ? vload(upper) + low : low);
      vstore(lower, load_c ? vload(lower) + high : high);
    }
  }
}
#else
#define PAIR_BLOCKS 0
#endif

/* acc = (C when load_c, else 0) + the first `rows` rows of A panel [kc][MR] * B panel [kc][NR], stored to c; of pairs, both products. */
INLINE void micro_rows(int pairs, int rows, Index kc, const float *restrict a, const float *restrict b, float *restrict c, Index ldc,
                       int load_c) {
#if PAIR_BLOCKS
  if (pairs) {
    micro_blocks(rows, kc, a, b, c, ldc, load_c);
    return;
  }
#endif
  (void)pairs;
  vf acc[MR][NV];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int j = 0; j < NV; j++) acc[i][j] = (vf){0};
  }
  for (Index k = 0; k < kc; k++) {
    vf bv[NV];
    UNROLL for (int j = 0; j < NV; j++) bv[j] = vload(b + j * VW);
#if defined(__aarch64__) /* multiply-adds by a lane of a vector: two registers for A instead of eight */
    vf av[MR / VW];
    UNROLL for (int i = 0; i < MR / VW; i++) av[i] = vload(a + i * VW);
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int j = 0; j < NV; j++) acc[i][j] += av[i / VW][i % VW] * bv[j];
    }
#else
    UNROLL for (int i = 0; i < rows; i++) {
#if PAIRS
      UNROLL for (int j = 0; pairs && j < NV; j++) acc[i][j] = vmadd_pairs(vset(a[i]), bv[j], acc[i][j]);
#endif
      UNROLL for (int j = 0; !pairs && j < NV; j++) acc[i][j] = vmadd(vset(a[i]), bv[j], acc[i][j]);
    }
#endif
    a += MR;
    b += NR;
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int j = 0; j < NV; j++) {
      float *p = c + i * ldc + j * VW;
      vstore(p, load_c ? vload(p) + acc[i][j] : acc[i][j]);
    }
  }
}

INLINE void micro_tile(int bf16, Index kc, const float *restrict a, const float *restrict b, float *restrict c, Index ldc, int load_c) {
  if (PAIRS && bf16) micro_rows(1, MR, kc, a, b, c, ldc, load_c);
  else micro_rows(0, MR, kc, a, b, c, ldc, load_c);
}

#if PAIRS
/* Up to VW floats of a column of A, stopping after its n rows. */
INLINE vf load_rows(const float *p, int n) {
#if VW == 16
  if (n < VW) return (vf)_mm512_maskz_loadu_ps((__mmask16)((1 << n) - 1), p);
#endif
  (void)n;
  return vload(p);
}
#endif

/* VW elements of a panel, neighbours along k. */
INLINE vf load_steps(int pairs, const float *p) {
#if PAIRS
  if (pairs) return vload_pairs(p);
#endif
  (void)pairs;
  return vload(p);
}

/* Element k of a panel, from a row whose values along k are `stride` apart, with `left` of them from k on. */
INLINE float load_step(int pairs, const float *p, Index stride, Index left) {
  return pairs ? pair_bf16(p[0], left > 1 ? p[stride] : 0) : p[0];
}

/*
 * Packs rows [0, m) of A, element (i, k) at src[i * rs + k * cs], into panels [m / MR][steps][MR], short panels filled
 * with zeros; a step is one k, or a pair of them. One of rs, cs is 1. dst needs VW floats of slack behind it.
 */
INLINE void pack_a_steps(int pairs, float *restrict dst, const float *restrict src, Index rs, Index cs, Index m, Index kc) {
  const Index step = pairs ? 2 : 1, steps = (kc + step - 1) / step, whole = kc / step;
  for (Index i0 = 0; i0 < m; i0 += MR, dst += MR * steps) {
    Index mr = m - i0 < MR ? m - i0 : MR;
    const float *s = src + i0 * rs;
    Index k = 0;
    if (cs == 1) {
      for (; k + VW <= whole; k += VW) {
        vf r[VW];
        UNROLL for (int i = 0; i < VW; i++) r[i] = i < mr ? load_steps(pairs, s + i * rs + k * step) : (vf){0};
        vtranspose(r);
        /* Each store may spill over the place of the next k, which is written next. */
        if (MR <= VW) {
          UNROLL for (int i = 0; i < VW; i++) vstore(dst + (k + i) * MR, r[i]);
        } else {
          vf r2[VW];
          UNROLL for (int i = 0; i < VW; i++) r2[i] = VW + i < mr ? load_steps(pairs, s + (VW + i) * rs + k * step) : (vf){0};
          vtranspose(r2);
          UNROLL for (int i = 0; i < VW; i++) {
            vstore(dst + (k + i) * MR, r[i]);
            vstore(dst + (k + i) * MR + VW, r2[i]);
          }
        }
      }
    } else if (mr == MR) {
      for (; k < whole; k++) {
        const float *row = s + k * step * cs;
        /* For a later panel: successive k are far apart in memory. */
        for (Index u = 0; FETCHES && u < step; u++) __builtin_prefetch(row + u * cs + 4 * MR);
#if PAIRS
        if (pairs) { /* the store may spill, as above */
          UNROLL for (int i = 0; i < MR; i += VW) vstore(dst + k * MR + i, vpair(load_rows(row + i, MR - i), load_rows(row + cs + i, MR - i)));
          continue;
        }
#endif
        memcpy(dst + k * MR, row, MR * sizeof(float));
      }
    }
    for (; k < steps; k++) {
      for (Index i = 0; i < MR; i++) dst[k * MR + i] = i < mr ? load_step(pairs, s + i * rs + k * step * cs, cs, kc - k * step) : 0;
    }
  }
}

/* Packs columns [0, n) of B, element (k, j) at src[k * rs + j * cs], into panels [n / NR][steps][NR], likewise. */
INLINE void pack_b_steps(int pairs, float *restrict dst, const float *restrict src, Index rs, Index cs, Index kc, Index n) {
  const Index step = pairs ? 2 : 1, steps = (kc + step - 1) / step, whole = kc / step;
  for (Index j0 = 0; j0 < n; j0 += NR, dst += NR * steps) {
    Index nr = n - j0 < NR ? n - j0 : NR;
    const float *s = src + j0 * cs;
    Index k = 0;
    if (nr == NR && cs == 1) {
      for (; k < whole; k++) {
        const float *row = s + k * step * rs;
        UNROLL for (int j = 0; j < NV; j++) {
#if PAIRS
          vf v = pairs ? vpair(vload(row + j * VW), vload(row + rs + j * VW)) : vload(row + j * VW);
#else
          vf v = vload(row + j * VW);
#endif
          vstore(dst + k * NR + j * VW, v);
        }
      }
    } else if (nr == NR && rs == 1) {
      for (; k + VW <= whole; k += VW) {
        for (int j = 0; j < NV; j++) {
          vf r[VW];
          UNROLL for (int i = 0; i < VW; i++) r[i] = load_steps(pairs, s + (j * VW + i) * cs + k * step);
          vtranspose(r);
          UNROLL for (int i = 0; i < VW; i++) vstore(dst + (k + i) * NR + j * VW, r[i]);
        }
      }
    }
    for (; k < steps; k++) {
      for (Index j = 0; j < NR; j++) dst[k * NR + j] = j < nr ? load_step(pairs, s + k * step * rs + j * cs, rs, kc - k * step) : 0;
    }
  }
}

static __attribute__((noinline, unused)) void pack_a(int bf16, float *restrict dst, const float *restrict src, Index rs, Index cs, Index m, Index kc) {
  if (PAIRS && bf16) {
    pack_a_steps(1, dst, src, rs, cs, m, kc);
    return;
  }
  pack_a_steps(0, dst, src, rs, cs, m, kc);
  if (bf16) round_to_bf16(dst, (size_t)(ROUND_UP(m, MR) * kc));
}

static __attribute__((noinline, unused)) void pack_b(int bf16, float *restrict dst, const float *restrict src, Index rs, Index cs, Index kc, Index n) {
  if (PAIRS && bf16) {
    pack_b_steps(1, dst, src, rs, cs, kc, n);
    return;
  }
  pack_b_steps(0, dst, src, rs, cs, kc, n);
  if (bf16) round_to_bf16(dst, (size_t)(ROUND_UP(n, NR) * kc));
}

#if PAIRS
/* pack_b for columns that are bf16 already, with each column's values along k contiguous. */
static __attribute__((noinline, unused)) void pack_b_halves(float *restrict dst, const uint16_t *restrict src, Index cs, Index kc, Index n) {
  const Index steps = (kc + 1) / 2, whole = kc / 2;
  for (Index j0 = 0; j0 < n; j0 += NR, dst += NR * steps) {
    Index nr = n - j0 < NR ? n - j0 : NR, k = 0;
    const uint16_t *s = src + j0 * cs;
    for (; nr == NR && k + VW <= whole; k += VW) {
      for (int j = 0; j < NV; j++) {
        vf r[VW];
        UNROLL for (int i = 0; i < VW; i++) r[i] = vload_halves(s + (j * VW + i) * cs + 2 * k);
        vtranspose(r);
        UNROLL for (int i = 0; i < VW; i++) vstore(dst + (k + i) * NR + j * VW, r[i]);
      }
    }
    for (; k < steps; k++) {
      for (Index j = 0; j < NR; j++) {
        uint16_t pair[2] = {0, 0};
        if (j < nr) memcpy(pair, s + j * cs + 2 * k, (size_t)(kc - 2 * k < 2 ? 1 : 2) * sizeof *pair);
        memcpy(dst + k * NR + j, pair, sizeof pair);
      }
    }
  }
}
#endif

#if PAIRS && VW == 16
/* A block of q8_0 or q4_0 weights as pairs. */
INLINE vf block_pairs(int type, const void *block) {
  int16_t half;
  vf low, high;
  memcpy(&half, block, sizeof half);
  const vf scale = (vf)_mm512_cvtph_ps(_mm256_set1_epi16(half));
  if (type == Q8_0) {
    const BlockQ8 *b = block;
    low = vload_int8(b->q), high = vload_int8(b->q + VW);
  } else {
    const BlockQ4 *b = block;
    const vi q = vload_bytes(b->q);
    low = __builtin_convertvector((q & 15) - 8, vf), high = __builtin_convertvector((q >> 4 & 15) - 8, vf);
  }
  return vjoin_pairs(scale * low, scale * high);
}

/* pack_b for columns in blocks, each with its values along k contiguous; columns and kc are whole blocks apart and long. */
INLINE void pack_b_blocks(int type, float *restrict dst, const char *restrict src, Index cs, Index kc, Index n) {
  const Index bytes = (Index)packed_bytes(type, BLOCK), column = (Index)packed_bytes(type, cs);
  for (Index j = 0; j < n; j += NR) {
    for (Index k = 0; k < kc; k += BLOCK, dst += NR * BLOCK / 2) {
      UNROLL for (int v = 0; v < NV; v++) {
        vf r[VW];
        const char *block = src + (j + v * VW) * column + k / BLOCK * bytes;
        for (Index i = 0; i < VW; i++, block += column) r[i] = j + v * VW + i < n ? block_pairs(type, block) : (vf){0};
        vtranspose(r);
        UNROLL for (int i = 0; i < VW; i++) vstore(dst + i * NR + v * VW, r[i]);
      }
    }
  }
}
#endif

/* One factor of a product: its element (i, j) is data[i * rs + j * cs], one of rs, cs being 1. */
typedef struct {
  const void *data;
  Index rs, cs;
  int type;  /* dtype; only B's may be other than F32 */
  int round; /* whether A's rows are rounded as for integer products */
  float *sums; /* A on tiles, its columns in order: the sums of its rows are added to it, unless NULL */
} Operand;

/* pack_a of rows from i, columns from k on; temp holds MR rows of kc floats. */
static __attribute__((unused)) void pack_a_operand(int bf16, float *dst, const Operand *a, Index i, Index k, Index m, Index kc, float *temp) {
  const float *src = (const float *)a->data + i * a->rs + k * a->cs;
  if (!a->round) {
    pack_a(bf16, dst, src, a->rs, a->cs, m, kc);
    return;
  }
  for (Index i0 = 0; i0 < m; i0 += MR, dst += MR * kc) {
    Index mr = m - i0 < MR ? m - i0 : MR;
    for (Index r = 0; r < mr; r++) round_activations(src + (i0 + r) * a->rs, kc, temp + r * kc);
    pack_a(bf16, dst, temp, kc, 1, mr, kc);
  }
}

/* pack_b of rows from k on, columns from j on; temp holds NR rows of kc floats, or twice NC + NR + 2 BLOCK floats. */
static __attribute__((unused)) void pack_b_operand(int bf16, float *dst, const Operand *b, Index k, Index j, Index kc, Index n, float *temp) {
  if (b->type == F32) {
    pack_b(bf16, dst, (const float *)b->data + k * b->rs + j * b->cs, b->rs, b->cs, kc, n);
#if PAIRS
  } else if (bf16 && b->type == BF16 && b->rs == 1) {
    pack_b_halves(dst, (const uint16_t *)b->data + k + j * b->cs, b->cs, kc, n);
#endif
#if PAIRS && VW == 16
  } else if (bf16 && is_integer_type(b->type) && b->rs == 1) {
    const char *src = packed_at(b->type, b->data, k + j * b->cs);
    if (b->type == Q8_0) pack_b_blocks(Q8_0, dst, src, b->cs, kc, n);
    else pack_b_blocks(Q4_0, dst, src, b->cs, kc, n);
#endif
  } else if (b->rs == 1) {
    const Index steps = (kc + STEP(bf16) - 1) / STEP(bf16);
    for (Index j0 = 0; j0 < n; j0 += NR, dst += NR * steps) {
      Index nr = n - j0 < NR ? n - j0 : NR;
      for (Index r = 0; r < nr; r++) decode_row(b->type, b->data, (j + j0 + r) * b->cs + k, kc, temp + r * kc);
      pack_b(bf16, dst, temp, 1, kc, kc, nr);
    }
  } else {
    const Index step = STEP(bf16), steps = (kc + step - 1) / step;
    Index from = j / BLOCK * BLOCK, to = is_integer_type(b->type) ? ROUND_UP(j + n, BLOCK) : j + n, width = to - from + NR;
    for (Index r = 0; r < steps; r++) {
      for (Index u = 0; u < step; u++) {
        float *row = temp + u * width;
        if (r * step + u < kc) decode_row(b->type, b->data, (k + r * step + u) * b->rs + from, to - from, row);
        else memset(row, 0, (size_t)(to - from) * sizeof(float));
        for (Index c = j + n; c < j + n + NR; c++) row[c - from] = 0;
      }
      for (Index j0 = 0; j0 < n; j0 += NR) pack_b_steps(step > 1, dst + j0 * steps + r * NR, temp + j - from + j0, width, 1, step, NR);
    }
    if (bf16 && !PAIRS) round_to_bf16(dst, (size_t)(ROUND_UP(n, NR) * kc));
  }
}

/* With `stream` it writes past the caches, to whole lines. */
INLINE void vstore_line(int stream, float *p, vf v) {
#if VW == 16
  if (stream) {
    _mm512_stream_ps(p, (__m512)v);
    return;
  }
#endif
  (void)stream;
  vstore(p, v);
}

INLINE vf apply_epilogue(int stream, const Epilogue *e, vf v, const float *bias, float *preact, const float *residual,
                         const float *grad_of, Index part) {
#define LOAD(p) (part == VW ? vload(p) : vload_part(p, part))
  if (bias) v += LOAD(bias);
  if (preact) {
    if (part == VW) vstore_line(stream, preact, v);
    else vstore_part(preact, v, part);
  }
  if (e->gelu) v = vgelu(v);
  if (residual) v += LOAD(residual);
  if (grad_of) v *= vgelu_grad(LOAD(grad_of));
  return v;
#undef LOAD
}

INLINE void finish_rows(int stream, const float *tile, float *c, Index ldc, Index mr, Index nr, int load_c, int add_after, const Epilogue *e,
                        Index row, Index col) {
  for (Index i = 0; i < mr; i++) {
    Index at = e ? (row + i) * e->ld + col : 0;
    for (Index j = 0; j < nr; j += VW) {
      Index part = nr - j < VW ? nr - j : VW;
      float *p = c + i * ldc + j;
      vf old = {0};
      if (load_c || add_after) old = part == VW ? vload(p) : vload_part(p, part);
      vf v = vload(tile + i * NR + j);
      if (load_c) v += old;
      if (e) {
        v = apply_epilogue(stream, e, v, e->bias ? e->bias + col + j : 0, e->preact ? e->preact + at + j : 0,
                           e->residual ? e->residual + at + j : 0, e->grad_of ? e->grad_of + at + j : 0, part);
      }
      if (add_after) v += old;
      if (part == VW) vstore_line(stream, p, v);
      else vstore_part(p, v, part);
    }
  }
}

/* c (mr x nr) = epilogue(tile [+ c when load_c]) [+ c when add_after]; (row, col) is the position of c in C. */
static __attribute__((noinline, unused)) void finish_tile(const float *tile, float *c, Index ldc, Index mr, Index nr, int load_c, int add_after,
                        const Epilogue *e, Index row, Index col) {
  finish_rows(0, tile, c, ldc, mr, nr, load_c, add_after, e, row, col);
}

/* Memory to be packed next, prefetched while the current panels are multiplied: `left` lines from `line` of `row` on. */
typedef struct {
  const float *row;
  Index stride, lines, line, left;
} Ahead;

INLINE void fetch(Ahead *a, Index count) {
  for (; count > 0 && a->left > 0; count--, a->left--) {
    __builtin_prefetch(a->row + a->line * LINE_FLOATS, 0, 2);
    if (++a->line == a->lines) a->line = 0, a->row += a->stride;
  }
}

INLINE void fetch_tile(int write, const float *p, Index ld, Index mr, Index nr) {
  for (Index i = 0; i < mr; i++) {
    for (Index j = 0; j < nr; j += LINE_FLOATS) write ? __builtin_prefetch(p + i * ld + j, 1) : __builtin_prefetch(p + i * ld + j);
  }
}

/* Prefetches what finishing a tile reads and writes, while its products are summed: its rows are too far apart for the hardware. */
INLINE void fetch_tiles(const float *c, Index ldc, Index mr, Index nr, const Epilogue *e, Index row, Index col) {
  if (!FETCHES) return;
  fetch_tile(1, c, ldc, mr, nr);
  if (!e) return;
  Index at = row * e->ld + col;
  if (e->preact) fetch_tile(1, e->preact + at, e->ld, mr, nr);
  if (e->residual) fetch_tile(0, e->residual + at, e->ld, mr, nr);
  if (e->grad_of) fetch_tile(0, e->grad_of + at, e->ld, mr, nr);
}

/* B's elements [k, k + kc) x [j, j + n). */
INLINE Ahead ahead_of(const Operand *b, Index k, Index kc, Index j, Index n) {
  int columns = b->rs == 1; /* B's columns are contiguous, else its rows */
  Index lines = ((columns ? kc : n) + LINE_FLOATS - 1) / LINE_FLOATS;
  return (Ahead){(const float *)b->data + k * b->rs + j * b->cs, columns ? b->cs : b->rs, lines, 0, lines * (columns ? n : kc)};
}

/* C [m x n] (+)= A * B from panels of kc steps; e, if given, is applied, with (row, col) the position of c in C. */
static __attribute__((noinline, unused)) void gemm_packed(int bf16, Index m, Index n, Index kc, const float *ap, const float *bp, float *c, Index ldc, int load_c,
                        int add_after, const Epilogue *e, Index row, Index col, Ahead *ahead) {
  float tile[MR * NR] __attribute__((aligned(64)));
  Index share = ahead ? ahead->left / (((n + NR - 1) / NR) * ((m + MR - 1) / MR)) + 1 : 0;
  for (Index j = 0; j < n; j += NR) {
    Index nr = n - j < NR ? n - j : NR;
    const float *b = bp + j * kc;
    for (Index i = 0; i < m; i += MR) {
      Index mr = m - i < MR ? m - i : MR;
      const float *a = ap + i * kc;
      float *ct = c + i * ldc + j;
      if (ahead) fetch(ahead, share);
      fetch_tiles(ct, ldc, mr, nr, e, row + i, col + j);
      if (mr == MR && nr == NR && !e && !add_after) {
        micro_tile(bf16, kc, a, b, ct, ldc, load_c);
      } else {
        micro_tile(bf16, kc, a, b, tile, NR, 0);
        finish_tile(tile, ct, ldc, mr, nr, load_c, add_after, e, row + i, col + j);
      }
    }
  }
}

/*
 * The part of an M x N result that this thread computes, in whole tiles of mr x nr: the grid of threads is the one whose largest part
 * is the least work. Each thread packs what it needs: packing an element of A costs as much as a_cost multiply-adds, one of B as b_cost.
 */
static void gemm_part(const Ctx *ctx, Index M, Index N, Index mr, Index nr, double a_cost, double b_cost, Index *i0, Index *i1, Index *j0,
                      Index *j1) {
  int rows = 1;
  double best = 1e300;
  for (int r = 1; r <= ctx->threads; r++) {
    if (ctx->threads % r) continue;
    int c = ctx->threads / r;
    Index mb = (ROUND_UP(M, mr) / mr + r - 1) / r * mr, nb = (ROUND_UP(N, nr) / nr + c - 1) / c * nr;
    double cost = (double)mb * nb + a_cost * mb + b_cost * nb;
    if (cost < best) best = cost, rows = r;
  }
  int cols = ctx->threads / rows, r = ctx->tid / cols, c = ctx->tid % cols;
  Index mp = (M + mr - 1) / mr, np = (N + nr - 1) / nr;
  *i0 = mp * r / rows * mr, *i1 = mp * (r + 1) / rows * mr;
  *j0 = np * c / cols * nr, *j1 = np * (c + 1) / cols * nr;
  if (*i1 > M) *i1 = M;
  if (*j1 > N) *j1 = N;
}

#if TILES
#include "tiles.h"
#endif

/*
 * C [M x N] (+)= A * B, with bf16 both rounded to it. With accumulate the (finished) product is added to C. K
 * is whole blocks where a type is in blocks.
 */
static __attribute__((unused)) void gemm(Ctx *ctx, int bf16, Index M, Index N, Index K, const Operand *a, const Operand *b, float *c, Index ldc,
                                         int accumulate, const Epilogue *e) {
#if TILES
  if (bf16) {
    tile_gemm(ctx, M, N, K, a, b, c, ldc, accumulate, e);
    return;
  }
#endif
  Index i0, i1, j0, j1;
  gemm_part(ctx, M, N, MR, NR, 8, 8, &i0, &i1, &j0, &j1);
  if (i0 >= i1 || j0 >= j1) return;
  /* An epilogue before adding to C needs the whole sum at once. */
  int whole = accumulate && e;
  const Index step = STEP(bf16);
  Index kstep = whole ? K : KC * step, kgroup = whole ? K : KGROUP * step;
  if (K <= 0) kstep = kgroup = 1; /* one empty pass still writes C */
  Index ktop = ROUND_UP(kgroup < K ? kgroup : K, step) / step; /* steps for which A is packed at once */
  Index mc = ROUND_UP(A_BUDGET / (ktop > 0 ? ktop : 1) + 1, MR);
  Index blocks = (i1 - i0 + mc - 1) / mc; /* even blocks rather than a short last one */
  mc = ROUND_UP((i1 - i0 + blocks - 1) / blocks, MR);
  Index kmax = kstep / step < ktop ? ROUND_UP(kstep, step) / step : ktop;
  size_t a_floats = ROUND_UP((size_t)mc * ktop + VW * 2, 16), b_floats = (size_t)kmax * NC;
  size_t temp = a->round || b->type != F32 ? (size_t)(kmax * step) * (MR > NR ? MR : NR) + 2 * (NC + 2 * NR + 2 * BLOCK) : 0;
  float *ap = scratch_bytes(ctx, (a_floats + b_floats + temp) * sizeof(float));
  if (!ap) return;
  float *bp = ap + a_floats, *tp = bp + b_floats;
  Index kg = 0;
  do {
    Index kend = kg + kgroup < K ? kg + kgroup : K;
    for (Index i = i0; i < i1; i += mc) {
      Index m = i1 - i < mc ? i1 - i : mc, mp = ROUND_UP(m, MR);
      for (Index k = kg; k < kend; k += kstep)
        pack_a_operand(bf16, ap + mp * ((k - kg) / step), a, i, k, m, kend - k < kstep ? kend - k : kstep, tp);
      for (Index j = j0; j < j1; j += NC) {
        Index n = j1 - j < NC ? j1 - j : NC, k = kg;
        do {
          Index kc = kend - k < kstep ? kend - k : kstep;
          pack_b_operand(bf16, bp, b, k, j, kc, n, tp);
          int load_c = !whole && (k > 0 || accumulate);
          Index kn = k + kc, jn = j;
          if (kn >= kend) kn = kg, jn = j + NC;
          int more = FETCHES && b->type == F32 && jn < j1;
          Ahead ahead = {0};
          if (more)
            ahead = ahead_of(b, kn, kend - kn < kstep ? kend - kn : kstep, jn, j1 - jn < NC ? j1 - jn : NC);
          gemm_packed(bf16, m, n, (kc + step - 1) / step, ap + mp * ((k - kg) / step), bp, c + i * ldc + j, ldc, load_c, whole,
                      k + kc >= K ? e : NULL, i, j, more ? &ahead : NULL);
          k += kc;
        } while (k < kend);
      }
    }
    kg = kend;
  } while (kg < K);
}

#endif
