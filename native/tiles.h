/*
 * Matrix products in bf16 on tile registers (AMX): a tile of A, 16 rows of 32 values along k, times a tile of B, 16 pairs along
 * k of 16 columns, added to 16 x 16 floats. A block of C is 2 x 2 tiles. B is packed first, as much of it as the second-level
 * cache holds; then panels of 32 rows of A, one at a time, into the first-level cache. Sums start from C, so their order is that
 * of k, whatever the blocking by threads.
 */
#ifndef GPT2_TILES_H
#define GPT2_TILES_H

#define TILE_ROWS 16
#define TILE_K 32 /* values along k in a tile's row */
#define TILE_HALVES (TILE_ROWS * TILE_K)
#define BLOCK_ROWS (2 * TILE_ROWS)
_Static_assert(NR == 2 * TILE_ROWS, "a panel of B is two tiles wide");

/* k per pass: a panel of A stays in the first-level cache. */
#define TILE_KC 512
/* Bytes of B packed at once. */
#define TILE_B_BUDGET (1L << 20)

/* All eight tiles are whole: what lies beyond a matrix is not stored. */
static void tiles_begin(void) {
  struct {
    uint8_t palette, start, zero[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shapes = {.palette = 1};
  for (int i = 0; i < 8; i++) shapes.row_bytes[i] = 64, shapes.rows[i] = TILE_ROWS;
  _tile_loadconfig(&shapes);
}

/* With its tiles released, a thread has less to save when it is interrupted. */
static void tiles_end(void) { _tile_release(); }

/* gcc's intrinsics do not say that they read memory. */
#define TILES_READ_MEMORY __asm__ volatile("" ::: "memory")

/*
 * to = (from unless NULL, else 0) + A * B, of rows x columns tiles, 1 or 2 each. A: [steps][2][16][32] halves; B: [steps][16][NR]
 * pairs.
 */
INLINE void multiply_tiles(int rows, int columns, Index steps, const uint16_t *a, const float *b, const float *from, Index ldf, float *to,
                           Index ldt) {
  const Index fs = ldf * (Index)sizeof(float), ts = ldt * (Index)sizeof(float);
  TILES_READ_MEMORY;
  if (from) {
    _tile_loadd(0, from, fs);
    if (columns > 1) _tile_loadd(1, from + TILE_ROWS, fs);
    if (rows > 1) _tile_loadd(2, from + TILE_ROWS * ldf, fs);
    if (rows > 1 && columns > 1) _tile_loadd(3, from + TILE_ROWS * ldf + TILE_ROWS, fs);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (Index k = 0; k < steps; k++) {
    _tile_loadd(6, b, NR * sizeof(float));
    _tile_loadd(4, a, TILE_K * sizeof *a);
    _tile_dpbf16ps(0, 4, 6);
    if (columns > 1) {
      _tile_loadd(7, b + TILE_ROWS, NR * sizeof(float));
      _tile_dpbf16ps(1, 4, 7);
    }
    if (rows > 1) {
      _tile_loadd(5, a + TILE_HALVES, TILE_K * sizeof *a);
      _tile_dpbf16ps(2, 5, 6);
      if (columns > 1) _tile_dpbf16ps(3, 5, 7);
    }
    a += 2 * TILE_HALVES;
    b += TILE_ROWS * NR;
  }
  _tile_stored(0, to, ts);
  if (columns > 1) _tile_stored(1, to + TILE_ROWS, ts);
  if (rows > 1) _tile_stored(2, to + TILE_ROWS * ldt, ts);
  if (rows > 1 && columns > 1) _tile_stored(3, to + TILE_ROWS * ldt + TILE_ROWS, ts);
}

/* Products of mr rows and nr columns of a block, at most 32 each. */
static __attribute__((noinline)) void multiply_block(Index mr, Index nr, Index steps, const uint16_t *a, const float *b, const float *from,
                                                     Index ldf, float *to, Index ldt) {
  if (mr > TILE_ROWS && nr > TILE_ROWS) multiply_tiles(2, 2, steps, a, b, from, ldf, to, ldt);
  else if (mr > TILE_ROWS) multiply_tiles(2, 1, steps, a, b, from, ldf, to, ldt);
  else if (nr > TILE_ROWS) multiply_tiles(1, 2, steps, a, b, from, ldf, to, ldt);
  else multiply_tiles(1, 1, steps, a, b, from, ldf, to, ldt);
}

/*
 * Packs rows [0, m) of A, m <= 32, element (i, k) at src[i * rs + k * cs], into [steps][2][16][32] halves, with zeros behind kc.
 * One of rs, cs is 1. Rows behind m are left as they are.
 */
static __attribute__((noinline)) void pack_tiles_a(uint16_t *restrict dst, const float *restrict src, Index rs, Index cs, Index m, Index kc) {
  for (Index k = 0; k < kc; k += TILE_K, dst += 2 * TILE_HALVES) {
    const Index left = kc - k < TILE_K ? kc - k : TILE_K;
    const float *s = src + k * cs;
    if (cs == 1) {
      for (Index i = 0; i < m; i++) {
        float part[TILE_K] = {0};
        const float *row = s + i * rs;
        if (left < TILE_K) row = memcpy(part, row, (size_t)left * sizeof(float));
        vstore((float *)(dst + i * TILE_K), vload_pairs(row));
      }
      continue;
    }
    for (Index i = 0; i < m; i += TILE_ROWS) {
      const int rows = (int)(m - i < TILE_ROWS ? m - i : TILE_ROWS);
      vf r[VW];
      UNROLL for (int p = 0; p < VW; p++) {
        vf first = 2 * p < left ? load_rows(s + 2 * p * cs + i, rows) : (vf){0};
        vf second = 2 * p + 1 < left ? load_rows(s + (2 * p + 1) * cs + i, rows) : (vf){0};
        r[p] = vpair(first, second);
      }
      vtranspose(r);
      UNROLL for (int p = 0; p < VW; p++) vstore((float *)(dst + (i + p) * TILE_K), r[p]);
    }
  }
}

/* pack_b_operand, with zeros behind kc up to whole tiles. */
static void pack_tiles_b(float *dst, const Operand *b, Index k, Index j, Index kc, Index n, float *temp) {
  const Index steps = (kc + 1) / 2, padded = ROUND_UP(kc, TILE_K) / 2;
  if (steps == padded) {
    pack_b_operand(1, dst, b, k, j, kc, n, temp);
    return;
  }
  for (Index j0 = 0; j0 < n; j0 += NR, dst += padded * NR) {
    pack_b_operand(1, dst, b, k, j + j0, kc, n - j0 < NR ? n - j0 : NR, temp);
    memset(dst + steps * NR, 0, (size_t)((padded - steps) * NR) * sizeof(float));
  }
}

/* c (mr x nr) = epilogue(A * B [+ c when load_c]) [+ c when add_after]; (row, col) is the place of c in C. */
static void finish_block(Index steps, const uint16_t *a, const float *b, float *c, Index ldc, Index mr, Index nr, int load_c, int add_after,
                         const Epilogue *e, Index row, Index col) {
  float block[BLOCK_ROWS * NR] __attribute__((aligned(64)));
  const int whole = mr == BLOCK_ROWS && nr == NR;
  fetch_tiles(c, ldc, mr, nr, e, row, col);
  if (whole && !e && !add_after) {
    multiply_block(mr, nr, steps, a, b, load_c ? c : NULL, ldc, c, ldc);
    return;
  }
  if (load_c && !whole) {
    for (Index i = 0; i < mr; i++) memcpy(block + i * NR, c + i * ldc, (size_t)nr * sizeof(float));
  }
  const float *from = !load_c ? NULL : whole ? c : block;
  multiply_block(mr, nr, steps, a, b, from, whole ? ldc : NR, block, NR);
  finish_tile(block, c, ldc, mr, nr, 0, add_after, e, row, col);
}

/* A's rows [i, i + m), columns [k, k + kc). */
INLINE Ahead rows_ahead(const Operand *a, Index i, Index m, Index k, Index kc) {
  const int rows = a->cs == 1; /* A's rows lie in order, else its columns */
  Index lines = ((rows ? kc : m) + LINE_FLOATS - 1) / LINE_FLOATS;
  return (Ahead){(const float *)a->data + i * a->rs + k * a->cs, rows ? a->rs : a->cs, lines, 0, lines * (rows ? m : kc)};
}

/* gemm in bf16. */
static __attribute__((unused)) void tile_gemm(Ctx *ctx, Index M, Index N, Index K, const Operand *a, const Operand *b, float *c, Index ldc,
                                              int accumulate, const Epilogue *e) {
  Index i0, i1, j0, j1;
  gemm_part(ctx, M, N, BLOCK_ROWS, NR, 128, 128, &i0, &i1, &j0, &j1);
  if (i0 >= i1 || j0 >= j1) return;
  /* An epilogue before adding to C needs the whole sum at once. */
  const int whole = accumulate && e;
  const Index kstep = whole || K < TILE_KC ? (K > 0 ? K : 1) : TILE_KC, kp = ROUND_UP(kstep, TILE_K);
  Index nc = TILE_B_BUDGET / (kp * 2) / NR * NR;
  if (nc < NR) nc = NR;
  Index passes = (j1 - j0 + nc - 1) / nc; /* even ones rather than a short last one */
  nc = ROUND_UP((j1 - j0 + passes - 1) / passes, NR);
  size_t b_floats = (size_t)(nc * kp / 2), a_floats = (size_t)(BLOCK_ROWS * kp / 2);
  size_t temp = b->type == F32 ? 0 : (size_t)(kp * NR + 2 * (nc + 2 * NR + 2 * BLOCK));
  float *bp = scratch_bytes(ctx, (b_floats + a_floats + temp) * sizeof(float));
  if (!bp) return;
  uint16_t *ap = (uint16_t *)(bp + b_floats);
  float *tp = bp + b_floats + a_floats;
  tiles_begin();
  for (Index j = j0; j < j1; j += nc) {
    const Index n = j1 - j < nc ? j1 - j : nc;
    Index k = 0;
    do { /* one empty pass still writes C */
      const Index kc = K - k < kstep ? K - k : kstep, steps = ROUND_UP(kc, TILE_K) / TILE_K;
      pack_tiles_b(bp, b, k, j, kc, n, tp);
      for (Index i = i0; i < i1; i += BLOCK_ROWS) {
        const Index m = i1 - i < BLOCK_ROWS ? i1 - i : BLOCK_ROWS, next = i + BLOCK_ROWS;
        pack_tiles_a(ap, (const float *)a->data + i * a->rs + k * a->cs, a->rs, a->cs, m, kc);
        Ahead ahead = rows_ahead(a, next, next < i1 ? (i1 - next < BLOCK_ROWS ? i1 - next : BLOCK_ROWS) : 0, k, kc);
        const Index share = ahead.left / ((n + NR - 1) / NR) + 1;
        for (Index jj = 0; jj < n; jj += NR) {
          fetch(&ahead, share);
          finish_block(steps, ap, bp + jj * (steps * TILE_ROWS), c + i * ldc + j + jj, ldc, m, n - jj < NR ? n - jj : NR,
                       !whole && (k > 0 || accumulate), whole, k + kc >= K ? e : NULL, i, j + jj);
        }
      }
      k += kc;
    } while (k < K);
  }
  tiles_end();
}

#endif
