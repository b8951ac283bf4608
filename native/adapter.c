/* The scaling of an adapter's hidden values: columns times a row of a table. */
#include "op.h"
#include "vec.h"

static void scale_columns(Ctx *ctx, const ScaleColumnsArgs *a) {
  const Index N = a->N, C = a->C;
  const int32_t *index = a->index;
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (Index n = from; n < to; n++) {
    float *out = a->out + n * C;
    const float *x = a->x + n * C, *gain = a->gain + (index ? index[n] : 0) * C;
    for (Index c = 0; c < C; c++) out[c] = x[c] * gain[c];
  }
}
