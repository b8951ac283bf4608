/* Linear layers: y = x Wᵀ + b, forward and backward. */
#include "gemm.h"
#include "half.h"
#include "quant-dot.h"
#include "quant-gemm.h"

/* Up to this number of tokens packing does not pay, because each weight is used too rarely: the weights are streamed instead. */
#define FEW_TOKENS 8
/*
 * FEW_OF(type): that number for a dtype of weights. DOT_TOKENS: number of tokens whose sums fit into the registers together; for more,
 * the row is reread from the first-level cache.
 */
#if defined(__wasm__)
#define FEW_OF(type) (is_integer_type(type) ? FEW_TOKENS : 4)
#define DOT_TOKENS 1
#else
#define FEW_OF(type) FEW_TOKENS
#define DOT_TOKENS 4
#endif
/* Number of weights prefetched ahead of the row being read: memory bandwidth, not arithmetic, is the limit here. */
#define FETCH_AHEAD 1024

INLINE vf load_weights(int type, const void *row, Index k) {
  if (type == F16) return vload_f16((const uint16_t *)row + k);
  if (type == BF16) return vload_bf16((const uint16_t *)row + k);
  return vload((const float *)row + k);
}

INLINE vf load_weights_part(int type, const void *row, Index k, Index n) {
  if (type == F32) return vload_part((const float *)row + k, n);
  uint16_t halves[VW] = {0};
  for (Index i = 0; i < n; i++) halves[i] = ((const uint16_t *)row)[k + i];
  return load_weights(type, halves, 0);
}

#if defined(__wasm__)
typedef int16_t half_bits __attribute__((vector_size(16)));
typedef half_bits half_memory __attribute__((aligned(1), may_alias));

/* Four of eight halves, their bits in the upper parts of v. Infinities and NaN become finite. */
INLINE vf finite_halves(half_bits v) { return (vf)((vi)v >> 3 & (int32_t)0x8fffe000) * 0x1p112f; }

/* Sums of a row's products with one token, n % 16 == 0; returns whether there are infinities or NaN, for which the sums are wrong. */
static __attribute__((noinline)) int dot_halves(Index n, const char *w, const float *x, vf sum[4]) {
  const half_bits zero = {0};
  half_bits special = {0};
  vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
  for (const char *end = w + 2 * n; w < end;) {
    half_bits a = *(const half_memory *)w, b = *(const half_memory *)(w + 16);
    special |= (half_bits)((a & 0x7c00) == 0x7c00) | (half_bits)((b & 0x7c00) == 0x7c00);
    s0 = vmadd(finite_halves(__builtin_shufflevector(zero, a, 0, 8, 1, 9, 2, 10, 3, 11)), vload(x), s0);
    s1 = vmadd(finite_halves(__builtin_shufflevector(zero, a, 4, 12, 5, 13, 6, 14, 7, 15)), vload(x + 4), s1);
    s2 = vmadd(finite_halves(__builtin_shufflevector(zero, b, 0, 8, 1, 9, 2, 10, 3, 11)), vload(x + 8), s2);
    s3 = vmadd(finite_halves(__builtin_shufflevector(zero, b, 4, 12, 5, 13, 6, 14, 7, 15)), vload(x + 12), s3);
    w += 32, x += 16;
    OPAQUE(w);
    OPAQUE(x);
  }
  sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
  return __builtin_wasm_any_true_v128((i8x16)special);
}
#endif

/* Weights as factors: with bf16, rounded to it. */
INLINE vf load_factors(int type, int bf16, const void *row, Index k) {
  vf w = load_weights(type, row, k);
  return bf16 && type != BF16 ? vround_bf16(w) : w;
}

INLINE void prefetch_weights(int type, const void *row, Index k) {
  const char *here = (const char *)row + (type == F32 ? 4 : 2) * (k + FETCH_AHEAD);
  __builtin_prefetch(here);
  if (type == F32 && VW == 16) __builtin_prefetch(here + 64);
}

#if PAIRS
/* Pairs of weights from k on, `n` of them, zeros beyond. */
INLINE vf load_weight_pairs(int type, const void *row, Index k, Index n) {
  if (type == BF16 && n >= 2 * VW) return vload_halves((const uint16_t *)row + k);
  vf low = n >= VW ? load_weights(type, row, k) : load_weights_part(type, row, k, n), high = {0};
  if (n >= 2 * VW) high = load_weights(type, row, k + VW);
  else if (n > VW) high = load_weights_part(type, row, k + VW, n - VW);
  return vjoin_pairs(low, high);
}

#if TILES
#include "few-tiles.h"
#endif

/* dot_row on pairs; x is rows of pairs, with zeros past IC. */
INLINE void dot_row_pairs(int type, Index IC, const void *w, Index T, const float *restrict x, Index ldx, float *out) {
  vf acc[FEW_TOKENS][2];
  UNROLL for (int t = 0; t < T; t++) acc[t][0] = acc[t][1] = (vf){0};
  Index k = 0;
  for (; k + 4 * VW <= IC; k += 4 * VW) {
    prefetch_weights(type, w, k);
    prefetch_weights(type, w, k + 2 * VW);
    vf w0 = load_weight_pairs(type, w, k, 2 * VW), w1 = load_weight_pairs(type, w, k + 2 * VW, 2 * VW);
    UNROLL for (int t = 0; t < T; t++) {
      acc[t][0] = vmadd_pairs(w0, vload(x + t * ldx + k / 2), acc[t][0]);
      acc[t][1] = vmadd_pairs(w1, vload(x + t * ldx + k / 2 + VW), acc[t][1]);
    }
  }
  for (; k < IC; k += 2 * VW) {
    vf w0 = load_weight_pairs(type, w, k, IC - k);
    for (int t = 0; t < T; t++) acc[t][0] = vmadd_pairs(w0, vload(x + t * ldx + k / 2), acc[t][0]);
  }
  for (int t = 0; t < T; t++) out[t] = vsum(acc[t][0] + acc[t][1]);
}
#endif

/*
 * Dot products of one weight row with T tokens, ldx apart. Rows are processed one after the other, so that memory is read as one
 * stream (several rows at once are read 15% slower); two accumulators hide the multiply-add's latency.
 */
INLINE void dot_row(int type, int bf16, Index IC, const void *w, Index T, const float *restrict x, Index ldx, float *out) {
#if PAIRS
  if (bf16) {
    dot_row_pairs(type, IC, w, T, x, ldx, out);
    return;
  }
#endif
  vf acc[FEW_TOKENS][2];
  UNROLL for (int t = 0; t < T; t++) acc[t][0] = acc[t][1] = (vf){0};
  Index k = 0;
#if defined(__wasm__) /* more loads in flight, which vectors of 16 bytes need to keep up with memory */
  if (T == 1 && !bf16) {
    vf sum[4] = {{0}};
    Index whole = IC / (4 * VW) * (4 * VW);
    if (type == F16) {
      if (dot_halves(whole, w, x, sum)) UNROLL for (int s = 0; s < 4; s++) sum[s] = (vf){0};
      else k = whole;
    }
    for (; k + 4 * VW <= IC; k += 4 * VW) {
      UNROLL for (int s = 0; s < 4; s++) sum[s] = vmadd(load_weights(type, w, k + s * VW), vload(x + k + s * VW), sum[s]);
    }
    acc[0][0] = sum[0] + sum[2], acc[0][1] = sum[1] + sum[3];
  }
#endif
  for (; k + 2 * VW <= IC; k += 2 * VW) {
    prefetch_weights(type, w, k);
    vf w0 = load_factors(type, bf16, w, k), w1 = load_factors(type, bf16, w, k + VW);
    UNROLL for (int t = 0; t < T; t++) {
      acc[t][0] = vmadd(w0, vload(x + t * ldx + k), acc[t][0]);
      acc[t][1] = vmadd(w1, vload(x + t * ldx + k + VW), acc[t][1]);
    }
  }
  for (; k < IC; k += VW) {
    Index part = IC - k < VW ? IC - k : VW;
    vf wv = part == VW ? load_weights(type, w, k) : load_weights_part(type, w, k, part);
    if (bf16 && type != BF16) wv = vround_bf16(wv);
    for (int t = 0; t < T; t++) acc[t][0] += wv * (part == VW ? vload(x + t * ldx + k) : vload_part(x + t * ldx + k, part));
  }
  for (int t = 0; t < T; t++) out[t] = vsum(acc[t][0] + acc[t][1]);
}

/* Tokens [from, from + N) of those streamed together: floats, for weights of an integer dtype also rounded to integers. */
typedef struct {
  Index from, N, IC, OC;
  const float *x; /* rows ldx apart, with bf16 rounded to it, and in pairs where the processor multiplies pairs */
  Index ldx;
  Activations q;
} FewTokens;

/* Dot products of R weight rows (one if floats) with T tokens from t on; out has FEW_TOKENS for each row. */
INLINE void dot_tokens(int type, int bf16, const FewTokens *f, int R, const void *rows, Index t, Index T, float *out) {
#if !defined(__wasm__)
  if (is_integer_type(type)) {
    dot_blocks(type, R, rows, f->IC / BLOCK, &f->q, t, T, out, FEW_TOKENS);
    return;
  }
#endif
  (void)R;
  dot_row(type, bf16, f->IC, rows, T, f->x + t * f->ldx, f->ldx, out);
}

/* Dot products of R weight rows with all tokens. */
INLINE void dot_all(int type, int bf16, const FewTokens *f, int R, const void *rows, float *out) {
  const int together = is_integer_type(type) ? INTEGER_TOKENS : DOT_TOKENS;
  Index t = 0;
  for (; t + together <= f->N; t += together) dot_tokens(type, bf16, f, R, rows, f->from + t, together, out + t);
#define CASE(n) \
  case n: \
    if (n < together) dot_tokens(type, bf16, f, R, rows, f->from + t, n, out + t); \
    break;
  switch (f->N - t) {
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7)
  }
#undef CASE
}

/* Dot products of up to VW rows with all tokens. */
INLINE void dot_rows(int type, int bf16, const FewTokens *f, const void *w, Index rows, float y[VW][FEW_TOKENS]) {
#if defined(__wasm__)
  if (type == Q8_0) {
    dot_blocks_q8(w, rows, &f->q, f->from, f->N, y[0], FEW_TOKENS);
    return;
  }
  if (type == Q4_0) {
    dot_blocks_q4(w, rows, &f->q, f->from, f->N, y[0], FEW_TOKENS);
    return;
  }
#endif
  Index r = 0;
  /* With one or two tokens memory is the limit, not loads of activations, which rows could share. */
  if (is_integer_type(type) && INTEGER_ROWS > 1 && f->N > 2) {
    for (; r + INTEGER_ROWS <= rows; r += INTEGER_ROWS) dot_all(type, bf16, f, INTEGER_ROWS, packed_at(type, w, r * f->IC), y[r]);
  }
  for (; r < rows; r++) dot_all(type, bf16, f, 1, packed_at(type, w, r * f->IC), y[r]);
}

/* Rows [o, o + rows) of the result for the tokens of f. */
INLINE void few_outputs(int type, int bf16, const FewTokens *f, const void *w, Index o, Index rows, float *out, const Epilogue *e) {
  float y[VW][FEW_TOKENS] = {{0}};
  dot_rows(type, bf16, f, packed_at(type, w, o * f->IC), rows, y);
  for (Index t = 0; t < f->N; t++) {
    Index at = (f->from + t) * f->OC + o;
    vf v;
    UNROLL for (int r = 0; r < VW; r++) v[r] = y[r][t];
    v = apply_epilogue(0, e, v, e->bias ? e->bias + o : 0, e->preact ? e->preact + at : 0,
                       e->residual ? e->residual + at : 0, 0, rows);
    if (rows == VW) vstore(out + at, v);
    else vstore_part(out + at, v, rows);
  }
}

/* With more tokens than a group holds, each group reads the rows once, from the cache after the first. */
INLINE void few_rows(int type, int bf16, const FewTokens *all, const void *w, Index from, Index to, float *out, const Epilogue *e) {
  FewTokens f = *all;
  for (Index o = from; o < to; o += VW) {
    Index rows = to - o < VW ? to - o : VW;
    for (f.from = 0; f.from < all->N; f.from += FEW_TOKENS) {
      f.N = all->N - f.from < FEW_TOKENS ? all->N - f.from : FEW_TOKENS;
      few_outputs(type, bf16, &f, w, o, rows, out, e);
    }
  }
}

/* Activations rounded to bf16, in the thread's own memory. */
static int round_few(Ctx *ctx, FewTokens *f) {
  const float *x = f->x;
  const Index ldx = PAIRS ? ROUND_UP(f->IC, 4 * VW) / 2 : ROUND_UP(f->IC, VW), step = STEP(1);
  float *rounded = scratch_bytes(ctx, (size_t)(f->N * ldx) * sizeof(float));
  if (!rounded) return 0;
  memset(rounded, 0, (size_t)(f->N * ldx) * sizeof(float));
  for (Index n = 0; n < f->N; n++) {
    const float *from = x + n * f->IC;
    float *to = rounded + n * ldx;
    Index k = 0;
    for (; k + VW * step <= f->IC; k += VW * step) vstore(to + k / step, PAIRS ? load_steps(PAIRS, from + k) : vround_bf16(vload(from + k)));
    for (; k < f->IC; k += step) to[k / step] = PAIRS ? load_step(1, from + k, 1, f->IC - k) : float_of(round_bf16(from[k]));
  }
  f->x = rounded;
  f->ldx = ldx;
  return 1;
}

static void linear_few(Ctx *ctx, int bf16, Index N, Index IC, Index OC, const float *x, const Operand *w, float *out, const Epilogue *e) {
  int64_t from, to;
  split(ctx, OC, 32, &from, &to);
  if (from >= to) return;
  FewTokens f = {.N = N, .IC = IC, .OC = OC, .x = x, .ldx = IC};
  if (is_integer_type(w->type)) {
    void *memory = scratch_bytes(ctx, activations_bytes(N, IC / BLOCK));
    if (!memory) return;
    f.q = quantise_activations(w->type, x, N, IC / BLOCK, memory);
  }
  if (bf16) {
    if (!round_few(ctx, &f)) return;
    switch (w->type) {
      case F16: few_rows(F16, 1, &f, w->data, from, to, out, e); break;
      case BF16: few_rows(BF16, 1, &f, w->data, from, to, out, e); break;
      default: few_rows(F32, 1, &f, w->data, from, to, out, e);
    }
    return;
  }
  switch (w->type) {
    case F16: few_rows(F16, 0, &f, w->data, from, to, out, e); break;
    case BF16: few_rows(BF16, 0, &f, w->data, from, to, out, e); break;
    case Q8_0: few_rows(Q8_0, 0, &f, w->data, from, to, out, e); break;
    case Q4_0: few_rows(Q4_0, 0, &f, w->data, from, to, out, e); break;
    default: few_rows(F32, 0, &f, w->data, from, to, out, e);
  }
}

static void linear_forward(Ctx *ctx, const LinearForwardArgs *a) {
  Index N = a->N, IC = a->IC, OC = a->OC;
  float *out = a->out;
  int type = a->weight.type;
  const float *x = a->x;
  const int integers = is_integer_type(type) && !a->bf16;
  Operand xs = {.data = x, .rs = IC, .cs = 1, .round = integers};
  Operand w = {.data = a->weight.data, .rs = 1, .cs = IC, .type = type};
  Epilogue e = {.preact = a->preact, .bias = a->bias, .residual = a->residual, .ld = OC, .gelu = a->act == ACT_GELU_NEW};
#if TILES
  if (a->bf16 && N <= MOST_FEW) {
    if (N > 0) few_gemm(ctx, type, N, IC, OC, x, w.data, out, &e);
    return;
  }
  const int streams = !a->bf16; /* on tiles a token's bits are the same on either path */
#else
  const int streams = integers || !is_integer_type(type); /* in bf16, weights in blocks are packed on either path */
#endif
  if (streams && (a->path == PATH_STREAMED || (a->path == PATH_AUTO && N <= FEW_OF(type)))) {
    if (N > 0) linear_few(ctx, a->bf16, N, IC, OC, x, &w, out, &e);
    return;
  }
#if defined(INTEGER_GEMM)
  if (integers) {
    integer_gemm(ctx, type, N, IC, OC, x, w.data, out, &e);
    return;
  }
#endif
  int plain = !e.preact && !e.bias && !e.residual && !e.gelu;
  gemm(ctx, a->bf16, N, OC, IC, &xs, &w, out, OC, 0, plain ? NULL : &e);
}

static void linear_backward_input(Ctx *ctx, const LinearBackwardInputArgs *a) {
  Index N = a->N, IC = a->IC, OC = a->OC;
  Epilogue e = {.grad_of = a->preact, .ld = IC};
  int gelu = a->act == ACT_GELU_NEW;
  Operand dout = {.data = a->dout, .rs = OC, .cs = 1};
  Operand w = {.data = a->weight.data, .rs = IC, .cs = 1, .type = a->weight.type};
  gemm(ctx, a->bf16, N, IC, OC, &dout, &w, a->dx, IC, a->accumulate, gelu ? &e : NULL);
}

static void linear_backward_weight(Ctx *ctx, const LinearBackwardWeightArgs *a) {
  Index N = a->N, IC = a->IC, OC = a->OC;
  float *dw = a->dweight, *db = a->dbias;
  const float *dout = a->dout, *x = a->x;
  const int on_tiles = TILES && a->bf16 && dw && N > 0; /* tiles sum them while packing */
  if (db && !on_tiles) { /* column sums; columns, not rows, are split, so the order of summing is fixed */
    int64_t from, to;
    split(ctx, OC, 64, &from, &to);
    for (Index n = 0; n < N; n++) {
      const float *row = dout + n * OC;
      for (Index o = from; o < to; o++) db[o] += row[o];
    }
  }
  Operand doutT = {.data = dout, .rs = 1, .cs = OC, .sums = on_tiles ? db : NULL}, xs = {.data = x, .rs = IC, .cs = 1};
  if (dw && N > 0) gemm(ctx, a->bf16, OC, IC, N, &doutT, &xs, dw, IC, 1, NULL);
}
