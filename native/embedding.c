/* Token and position embeddings, and moving rows about. */
#include "op.h"
#include "quant.h"
#include "vec.h"

/* Values of a row decoded at a time. */
#define ROW_PART 256

static void embedding_forward(Ctx *ctx, const Args *a) {
  long N = a->dim[0], C = a->dim[1];
  const int32_t *tokens = a->tensor[1], *positions = a->tensor[2];
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (long n = from; n < to; n++) {
    float *out = (float *)a->tensor[0] + n * C;
    for (long c = 0; c < C; c += ROW_PART) {
      long part = C - c < ROW_PART ? C - c : ROW_PART;
      float wpe[ROW_PART];
      decode_row(dtype_of(a, 3), a->tensor[3], tokens[n] * C + c, part, out + c);
      decode_row(dtype_of(a, 4), a->tensor[4], positions[n] * C + c, part, wpe);
      for (long i = 0; i < part; i++) out[c + i] += wpe[i];
    }
  }
}

/* Tokens repeat, so threads own columns, not rows, and each row of a table is summed in the order of the tokens. */
static void embedding_backward(Ctx *ctx, const Args *a) {
  long N = a->dim[0], C = a->dim[1];
  float *dwte = a->tensor[0], *dwpe = a->tensor[1];
  const int32_t *tokens = a->tensor[3], *positions = a->tensor[4];
  int64_t from, to;
  split(ctx, C, 16, &from, &to);
  for (long n = 0; n < N; n++) {
    const float *dout = (const float *)a->tensor[2] + n * C;
    if (dwte)
      for (long c = from; c < to; c++) dwte[tokens[n] * C + c] += dout[c];
    if (dwpe)
      for (long c = from; c < to; c++) dwpe[positions[n] * C + c] += dout[c];
  }
}

static void scatter_rows(Ctx *ctx, const Args *a) {
  long N = a->dim[0], W = a->dim[1], ldsrc = a->dim[2], lddst = a->dim[3];
  const int32_t *index = a->tensor[2];
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (long n = from; n < to; n++)
    memcpy((float *)a->tensor[0] + index[n] * lddst, (const float *)a->tensor[1] + n * ldsrc, (size_t)W * sizeof(float));
}

static void gather_rows(Ctx *ctx, const Args *a) {
  long N = a->dim[0], W = a->dim[1];
  const int32_t *index = a->tensor[2];
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (long n = from; n < to; n++)
    memcpy((float *)a->tensor[0] + n * W, (const float *)a->tensor[1] + index[n] * W, (size_t)W * sizeof(float));
}
