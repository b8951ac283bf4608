/* What adapters need beside linear layers: columns scaled by a row of a table. */
#include "op.h"
#include "vec.h"

static void scale_columns(Ctx *ctx, const Args *a) {
  long N = a->dim[0], C = a->dim[1];
  const int32_t *index = a->tensor[3];
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (long n = from; n < to; n++) {
    float *out = (float *)a->tensor[0] + n * C;
    const float *x = (const float *)a->tensor[1] + n * C;
    const float *gain = (const float *)a->tensor[2] + (index ? index[n] : 0) * C;
    for (long c = 0; c < C; c++) out[c] = x[c] * gain[c];
  }
}
