/* Sums, products, dropout and fill. */
#include "op.h"
#include "random.h"
#include "vec.h"

static void dropout(Ctx *ctx, const DropoutArgs *a) {
  Index N = a->N, C = a->C;
  uint32_t threshold = drop_threshold(a->p), key0 = a->key0, key1 = a->key1;
  float keep = (float)(1.0 / (1.0 - a->p));
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (Index n = from; n < to; n++) {
    float *out = a->out + n * C;
    const float *x = a->x + n * C, *residual = a->residual ? a->residual + n * C : NULL;
    uint32_t row_key = mix32(key1 + (uint32_t)n);
    for (Index c = 0; c < C; c++) {
      float v = random_bits(key0, row_key, (uint32_t)c) >= threshold ? x[c] * keep : 0.0f;
      out[c] = residual ? residual[c] + v : v;
    }
  }
}

static void add(Ctx *ctx, const AddArgs *a) {
  int64_t from, to;
  split(ctx, (int64_t)a->N * a->C, 4096, &from, &to);
  for (Index i = from; i < to; i++) a->out[i] = a->a[i] + a->b[i];
}

static void multiply(Ctx *ctx, const MultiplyArgs *a) {
  int64_t from, to;
  split(ctx, (int64_t)a->N * a->C, 4096, &from, &to);
  for (Index i = from; i < to; i++) a->out[i] = a->a[i] * a->b[i];
}

/* Arrays of at least this many floats exceed every cache: streaming stores avoid reading their lines before writing them. */
#define BEYOND_CACHES (4L << 20)

static void fill(Ctx *ctx, const FillArgs *a) {
  float *x = a->x, value = (float)a->value;
  int64_t from, to;
  split(ctx, a->size, 4096, &from, &to);
  Index i = from;
#if defined(__SSE2__)
  if (a->size >= BEYOND_CACHES && (uintptr_t)x % 16 == 0) {
    for (; i + 4 <= to; i += 4) _mm_stream_ps(x + i, _mm_set1_ps(value));
    _mm_sfence();
  }
#endif
  for (; i < to; i++) x[i] = value;
}
