/* Dropout and fill. */
#include "op.h"
#include "random.h"
#include "vec.h"

static void dropout(Ctx *ctx, const Args *a) {
  long N = a->dim[0], C = a->dim[1];
  uint32_t threshold = drop_threshold(a->scalar[0]), key0 = (uint32_t)a->scalar[1], key1 = (uint32_t)a->scalar[2];
  float keep = (float)(1.0 / (1.0 - a->scalar[0]));
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (long n = from; n < to; n++) {
    float *out = (float *)a->tensor[0] + n * C;
    const float *x = (const float *)a->tensor[1] + n * C;
    const float *residual = a->tensor[2] ? (const float *)a->tensor[2] + n * C : NULL;
    uint32_t row_key = mix32(key1 + (uint32_t)n);
    for (long c = 0; c < C; c++) {
      float v = random_bits(key0, row_key, (uint32_t)c) >= threshold ? x[c] * keep : 0.0f;
      out[c] = residual ? residual[c] + v : v;
    }
  }
}

/* Floats from which on an array is not kept in a cache: its lines need not be read before they are written. */
#define BEYOND_CACHES (4L << 20)

static void fill(Ctx *ctx, const Args *a) {
  float *x = a->tensor[0], value = (float)a->scalar[0];
  int64_t from, to;
  split(ctx, a->dim[0], 4096, &from, &to);
  long i = from;
#if defined(__SSE2__)
  if (a->dim[0] >= BEYOND_CACHES && (uintptr_t)x % 16 == 0) {
    for (; i + 4 <= to; i += 4) _mm_stream_ps(x + i, _mm_set1_ps(value));
    _mm_sfence();
  }
#endif
  for (; i < to; i++) x[i] = value;
}
