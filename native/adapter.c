/* What adapters need beside linear layers: columns scaled by a row of a table, and an activation on its own. */
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

static void activation(Ctx *ctx, const Args *a) {
  float *out = a->tensor[0];
  const float *x = a->tensor[1];
  int gelu = a->scalar[0] == 1;
  int64_t from, to;
  split(ctx, a->dim[0] * a->dim[1], 4096, &from, &to);
  for (long i = from; i < to; i += VW) {
    long part = to - i < VW ? to - i : VW;
    vf v = part == VW ? vload(x + i) : vload_part(x + i, part);
    if (gelu) v = vgelu(v);
    if (part == VW) vstore(out + i, v);
    else vstore_part(out + i, v, part);
  }
}
