/* Linear layers: y = x Wᵀ + b, forward and backward. */
#include "gemm.h"

#define GEMV_ROWS 4

/* Up to this many tokens, each weight is used too seldom for packing to pay: stream the weights once instead. */
#define GEMV_MAX 4

/* Dot products of GEMV_ROWS weight rows with T tokens. */
INLINE void dot_rows(long IC, const float *restrict w, long T, const float *restrict x, float out[GEMV_ROWS][GEMV_MAX]) {
  vf acc[GEMV_ROWS][GEMV_MAX];
  UNROLL for (int r = 0; r < GEMV_ROWS; r++) {
    UNROLL for (int t = 0; t < T; t++) acc[r][t] = (vf){0};
  }
  long k = 0;
  for (; k + VW <= IC; k += VW) {
    vf xv[GEMV_MAX];
    UNROLL for (int t = 0; t < T; t++) xv[t] = vload(x + t * IC + k);
    UNROLL for (int r = 0; r < GEMV_ROWS; r++) {
      vf wv = vload(w + r * IC + k);
      UNROLL for (int t = 0; t < T; t++) acc[r][t] += wv * xv[t];
    }
  }
  if (k < IC) {
    for (int t = 0; t < T; t++) {
      vf xv = vload_part(x + t * IC + k, IC - k);
      for (int r = 0; r < GEMV_ROWS; r++) acc[r][t] += vload_part(w + r * IC + k, IC - k) * xv;
    }
  }
  for (int r = 0; r < GEMV_ROWS; r++)
    for (int t = 0; t < T; t++) out[r][t] = vsum(acc[r][t]);
}

static void linear_few(Ctx *ctx, long N, long IC, long OC, const float *x, const float *w, float *out, const Epilogue *e) {
  int64_t from, to;
  split(ctx, OC, 32, &from, &to);
  for (long o = from; o < to; o += GEMV_ROWS) {
    /* The last rows are done again with their predecessors when OC is no multiple of GEMV_ROWS. */
    float y[GEMV_ROWS][GEMV_MAX];
    long rows = to - o < GEMV_ROWS ? to - o : GEMV_ROWS;
    const float *wr = w + o * IC;
    float padded[GEMV_ROWS][GEMV_MAX] = {{0}};
    if (rows < GEMV_ROWS) {
      for (long r = 0; r < rows; r++) {
        for (long t = 0; t < N; t++) {
          vf acc = {0};
          long k = 0;
          for (; k + VW <= IC; k += VW) acc += vload(wr + r * IC + k) * vload(x + t * IC + k);
          if (k < IC) acc += vload_part(wr + r * IC + k, IC - k) * vload_part(x + t * IC + k, IC - k);
          padded[r][t] = vsum(acc);
        }
      }
      memcpy(y, padded, sizeof y);
    } else {
      switch (N) {
        case 1: dot_rows(IC, wr, 1, x, y); break;
        case 2: dot_rows(IC, wr, 2, x, y); break;
        case 3: dot_rows(IC, wr, 3, x, y); break;
        default: dot_rows(IC, wr, 4, x, y); break;
      }
    }
    for (long t = 0; t < N; t++) {
      vf v = {0};
      for (long r = 0; r < rows; r++) v[r] = y[r][t];
      long at = t * OC + o;
      v = apply_epilogue(e, v, e->bias ? e->bias + o : 0, e->preact ? e->preact + at : 0,
                         e->residual ? e->residual + at : 0, 0, rows);
      vstore_part(out + at, v, rows);
    }
  }
}

static void linear_forward(Ctx *ctx, const Args *a) {
  long N = a->dim[0], IC = a->dim[1], OC = a->dim[2];
  float *out = a->tensor[0];
  const float *x = a->tensor[2], *w = a->tensor[3];
  Epilogue e = {.preact = a->tensor[1], .bias = a->tensor[4], .residual = a->tensor[5], .ld = OC, .gelu = a->scalar[0] == 1};
  if (N <= GEMV_MAX) {
    if (N > 0) linear_few(ctx, N, IC, OC, x, w, out, &e);
    return;
  }
  int plain = !e.preact && !e.bias && !e.residual && !e.gelu;
  gemm(ctx, N, OC, IC, x, IC, 1, w, 1, IC, out, OC, 0, plain ? NULL : &e);
}

static void linear_backward_input(Ctx *ctx, const Args *a) {
  long N = a->dim[0], IC = a->dim[1], OC = a->dim[2];
  Epilogue e = {.grad_of = a->tensor[3], .ld = IC};
  int gelu = a->scalar[0] == 1;
  gemm(ctx, N, IC, OC, a->tensor[1], OC, 1, a->tensor[2], IC, 1, a->tensor[0], IC, a->scalar[1] == 1, gelu ? &e : NULL);
}

static void linear_backward_weight(Ctx *ctx, const Args *a) {
  long N = a->dim[0], IC = a->dim[1], OC = a->dim[2];
  float *dw = a->tensor[0], *db = a->tensor[1];
  const float *dout = a->tensor[2], *x = a->tensor[3];
  if (db) { /* column sums; columns, not rows, are split, so the order of summing is fixed */
    int64_t from, to;
    split(ctx, OC, 64, &from, &to);
    for (long n = 0; n < N; n++) {
      const float *row = dout + n * OC;
      for (long o = from; o < to; o++) db[o] += row[o];
    }
  }
  if (dw && N > 0) gemm(ctx, OC, IC, N, dout, 1, OC, x, IC, 1, dw, IC, 1, NULL);
}
