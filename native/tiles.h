/*
 * Matrix products in bf16 on tile registers (AMX): a tile of A, 16 rows of 32 values along k, times a tile of B, 16 pairs along
 * k of 16 columns, added to 16 x 16 floats. A block of C is 2 x 2 tiles. B is packed first, as much of it as the second-level
 * cache holds; then panels of 32 rows of A, one at a time if its rows are contiguous, else several. Sums start from C, so their order is
 * that of k, whatever the blocking by threads.
 */
#ifndef GPT2_TILES_H
#define GPT2_TILES_H

#define TILE_ROWS 16
#define TILE_K 32 /* values along k in a tile's row */
#define TILE_HALVES (TILE_ROWS * TILE_K)
#define BLOCK_ROWS (2 * TILE_ROWS)
_Static_assert(NR == 2 * TILE_ROWS, "a panel of B is two tiles wide");

/* k per pass, for contiguous rows of A and for contiguous columns. */
#define TILE_ROWS_KC 1024
#define TILE_COLUMNS_KC 512
/* Columns of A packed at once: their memory is read in long runs. */
#define TILE_MC 256
/* Bytes of B packed at once. */
#define TILE_B_BUDGET (1L << 20)
/* A result with more bytes leaves the caches before it is read: its lines are written to memory without being read first. */
#define STREAMED_BYTES (16L << 20)

/* Constant, because gcc's intrinsic says that it reads only 8 bytes. */
typedef struct {
  uint8_t palette, start, zero[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} TileShapes;

/* All eight tiles are whole: parts beyond a matrix are not stored. */
static const TileShapes tile_shapes = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

static void tiles_begin(void) { _tile_loadconfig(&tile_shapes); }

/* After its tiles are released, a thread has less state to save when it is interrupted. */
static void tiles_end(void) { _tile_release(); }

/* gcc's intrinsics do not say that they read memory. */
#define TILES_READ_MEMORY __asm__ volatile("" ::: "memory")

/*
 * to = (from unless NULL, else 0) + A * B, of rows x columns tiles, 1 or 2 each. A: [steps][2][16][32] halves; B: [steps][16][NR]
 * pairs. Meanwhile `share` lines of `ahead` are prefetched in each step, as many as memory delivers in that time.
 */
INLINE void multiply_tiles(int rows, int columns, Index steps, const uint16_t *a, const float *b, const float *from, Index ldf, float *to,
                           Index ldt, Ahead *ahead, Index share) {
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
    if (ahead) fetch(ahead, share);
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
  if (mr > TILE_ROWS && nr > TILE_ROWS) multiply_tiles(2, 2, steps, a, b, from, ldf, to, ldt, NULL, 0);
  else if (mr > TILE_ROWS) multiply_tiles(2, 1, steps, a, b, from, ldf, to, ldt, NULL, 0);
  else if (nr > TILE_ROWS) multiply_tiles(1, 2, steps, a, b, from, ldf, to, ldt, NULL, 0);
  else multiply_tiles(1, 1, steps, a, b, from, ldf, to, ldt, NULL, 0);
}

/* A whole block, with memory prefetched. */
static __attribute__((noinline)) void multiply_whole_block(Index steps, const uint16_t *a, const float *b, const float *from, Index ldf,
                                                           float *to, Index ldt, Ahead *ahead, Index share) {
  multiply_tiles(2, 2, steps, a, b, from, ldf, to, ldt, ahead, share);
}

/* Contiguous rows of A: m <= 32 of them, rs apart, to [steps][2][16][32] halves, with zeros past kc. Rows past m are left unchanged. */
static __attribute__((noinline)) void pack_tile_rows(uint16_t *restrict dst, const float *restrict src, Index rs, Index m, Index kc) {
  for (Index k = 0; k < kc; k += TILE_K, dst += 2 * TILE_HALVES) {
    for (Index i = 0; i < m; i++) {
      float part[TILE_K] = {0};
      const float *row = src + i * rs + k;
      if (kc - k < TILE_K) row = memcpy(part, row, (size_t)(kc - k) * sizeof(float));
      vstore((float *)(dst + i * TILE_K), vload_pairs(row));
    }
  }
}

/* A tile from 32 rows of columns, `left` of them, of which `rows` floats count; returns their sum. */
INLINE vf pack_tile(int whole, uint16_t *restrict dst, const float *restrict src, Index cs, int rows, Index left) {
  vf r[VW], sum[2] = {{0}};
  UNROLL for (int p = 0; p < VW; p++) {
    vf pair[2];
    UNROLL for (int u = 0; u < 2; u++) {
      const float *from = src + (2 * p + u) * cs;
      pair[u] = whole ? vload(from) : 2 * p + u < left ? load_rows(from, rows) : (vf){0};
      sum[u] += pair[u];
    }
    r[p] = vpair(pair[0], pair[1]);
  }
  vtranspose(r);
  UNROLL for (int p = 0; p < VW; p++) vstore((float *)(dst + p * TILE_K), r[p]);
  return sum[0] + sum[1];
}

/*
 * The same for A's columns, cs apart: rows [0, m), any number, to panels of 32. Memory is read in order, 32 columns at a time.
 * If sums is given, the columns are added to it.
 */
static __attribute__((noinline)) void pack_tile_columns(uint16_t *restrict dst, const float *restrict src, Index cs, Index m, Index kc,
                                                        float *restrict sums) {
  const Index panel = ROUND_UP(kc, TILE_K) * BLOCK_ROWS;
  for (Index k = 0; k < kc; k += TILE_K, dst += 2 * TILE_HALVES) {
    for (Index i = 0; i < m; i += TILE_ROWS) {
      const float *from = src + k * cs + i;
      uint16_t *to = dst + i / BLOCK_ROWS * panel + i % BLOCK_ROWS * TILE_K;
      const int rows = (int)(m - i < TILE_ROWS ? m - i : TILE_ROWS);
      const vf sum = kc - k >= TILE_K && rows == TILE_ROWS ? pack_tile(1, to, from, cs, rows, TILE_K) : pack_tile(0, to, from, cs, rows, kc - k);
      if (sums) vstore_part(sums + i, load_rows(sums + i, rows) + sum, rows);
    }
  }
}

/* pack_b_operand, with zeros past kc up to whole tiles. */
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

/* finish_tile for a whole block, written past the caches. */
static __attribute__((noinline)) void stream_tile(const float *tile, float *c, Index ldc, const Epilogue *e, Index row, Index col) {
  finish_rows(1, tile, c, ldc, BLOCK_ROWS, NR, 0, 0, e, row, col);
}

/* The destination of C's blocks. */
typedef struct {
  float *c;
  Index ldc;
  int load_c, add_after, stream;
  const Epilogue *e;
} Finish;

/* C's mr x nr block at (row, col) = epilogue(A * B [+ C when load_c]) [+ C when add_after]. */
static void finish_block(const Finish *f, Index steps, const uint16_t *a, const float *b, Index row, Index col, Index mr, Index nr, Ahead *ahead,
                         Index share) {
  float block[BLOCK_ROWS * NR] __attribute__((aligned(64)));
  const int whole = mr == BLOCK_ROWS && nr == NR, direct = whole && !f->e && !f->add_after && !f->stream;
  float *c = f->c + row * f->ldc + col, *to = direct ? c : block;
  if (!f->stream) fetch_tiles(c, f->ldc, mr, nr, f->e, row, col);
  if (f->load_c && !whole) {
    for (Index i = 0; i < mr; i++) memcpy(block + i * NR, c + i * f->ldc, (size_t)nr * sizeof(float));
  }
  const float *from = !f->load_c ? NULL : whole ? c : block;
  const Index ldf = whole ? f->ldc : NR, ldt = direct ? f->ldc : NR;
  if (whole) multiply_whole_block(steps, a, b, from, ldf, to, ldt, ahead, share);
  else multiply_block(mr, nr, steps, a, b, from, ldf, to, ldt);
  if (direct) return;
  if (f->stream && whole) stream_tile(block, c, f->ldc, f->e, row, col);
  else finish_tile(block, c, f->ldc, mr, nr, 0, f->add_after, f->e, row, col);
}

/* A's rows [i, i + m), columns [k, k + kc). */
INLINE Ahead rows_ahead(const Operand *a, Index i, Index m, Index k, Index kc) {
  const int rows = a->cs == 1; /* A's rows are contiguous, else its columns */
  Index lines = ((rows ? kc : m) + LINE_FLOATS - 1) / LINE_FLOATS;
  return (Ahead){(const float *)a->data + i * a->rs + k * a->cs, rows ? a->rs : a->cs, lines, 0, lines * (rows ? m : kc)};
}

static int aligned_lines(const float *p, Index ld) { return !p || ((uintptr_t)p % 64 == 0 && ld % LINE_FLOATS == 0); }

/* gemm in bf16. */
static __attribute__((unused)) void tile_gemm(Ctx *ctx, Index M, Index N, Index K, const Operand *a, const Operand *b, float *c, Index ldc,
                                              int accumulate, const Epilogue *e) {
  Index i0, i1, j0, j1;
  gemm_part(ctx, M, N, BLOCK_ROWS, NR, 128, 128, &i0, &i1, &j0, &j1);
  if (i0 >= i1 || j0 >= j1) return;
  /* An epilogue before adding to C needs the whole sum at once. */
  const int whole = accumulate && e;
  const int columns = a->cs != 1 || a->sums;
  const Index kmax = columns ? TILE_COLUMNS_KC : TILE_ROWS_KC, kstep = whole || K < kmax ? (K > 0 ? K : 1) : kmax, kp = ROUND_UP(kstep, TILE_K);
  Index nc = TILE_B_BUDGET / (kp * 2) / NR * NR;
  if (nc < NR) nc = NR;
  Index passes = (j1 - j0 + nc - 1) / nc; /* even ones rather than a short last one */
  nc = ROUND_UP((j1 - j0 + passes - 1) / passes, NR);
  const Index mc = columns ? TILE_MC : BLOCK_ROWS;
  size_t b_floats = (size_t)(nc * kp / 2), a_floats = (size_t)(mc * kp / 2);
  size_t temp = b->type == F32 ? 0 : (size_t)(kp * NR + 2 * (nc + 2 * NR + 2 * BLOCK));
  float *bp = scratch_bytes(ctx, (b_floats + a_floats + temp) * sizeof(float));
  if (!bp) return;
  uint16_t *ap = (uint16_t *)(bp + b_floats);
  float *tp = bp + b_floats + a_floats;
  Finish f = {.c = c, .ldc = ldc, .add_after = whole};
  const int stream = (i1 - i0) * (j1 - j0) * (Index)sizeof(float) > STREAMED_BYTES && !whole && aligned_lines(c, ldc) &&
                     (!e || aligned_lines(e->preact, e->ld));
  tiles_begin();
  for (Index j = j0; j < j1; j += nc) {
    const Index n = j1 - j < nc ? j1 - j : nc;
    Index k = 0;
    do { /* one empty pass still writes C */
      const Index kc = K - k < kstep ? K - k : kstep, steps = ROUND_UP(kc, TILE_K) / TILE_K;
      f.load_c = !whole && (k > 0 || accumulate);
      f.e = k + kc >= K ? e : NULL;
      f.stream = stream && K <= kstep;
      pack_tiles_b(bp, b, k, j, kc, n, tp);
      for (Index i = i0; i < i1; i += mc) {
        const Index m = i1 - i < mc ? i1 - i : mc;
        const float *rows = (const float *)a->data + i * a->rs + k * a->cs;
        if (columns) pack_tile_columns(ap, rows, a->cs, m, kc, j == 0 && a->sums ? a->sums + i : NULL);
        else pack_tile_rows(ap, rows, a->rs, m, kc);
        /* What is packed next: of another block, or of the next k. */
        Index in = i + mc, kn = k;
        if (in >= i1) in = i0, kn = k + kc;
        const Index kleft = K - kn < kstep ? K - kn : kstep;
        Ahead ahead = rows_ahead(a, in, i1 - in < mc ? i1 - in : mc, kn, kleft > 0 ? kleft : 0);
        const Index share = ahead.left / ((n + NR - 1) / NR * ((m + BLOCK_ROWS - 1) / BLOCK_ROWS) * (steps > 0 ? steps : 1)) + 1;
        for (Index ii = 0; ii < m; ii += BLOCK_ROWS) {
          for (Index jj = 0; jj < n; jj += NR)
            finish_block(&f, steps, ap + ii * steps * TILE_K, bp + jj * (steps * TILE_ROWS), i + ii, j + jj,
                         m - ii < BLOCK_ROWS ? m - ii : BLOCK_ROWS, n - jj < NR ? n - jj : NR, &ahead, share);
        }
      }
      k += kc;
    } while (k < K);
  }
  tiles_end();
  if (stream) _mm_sfence();
}

#endif
