/* Token and position embeddings; gathering and scattering rows. */
#include "half.h"
#include "op.h"
#include "quant.h"
#include "vec.h"

/* Number of a row's values decoded at a time. */
#define ROW_PART 256

static void embedding_forward(Ctx *ctx, const EmbeddingForwardArgs *a) {
  Index N = a->N, C = a->C;
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (Index n = from; n < to; n++) {
    float *out = a->out + n * C;
    for (Index c = 0; c < C; c += ROW_PART) {
      Index part = C - c < ROW_PART ? C - c : ROW_PART;
      float wpe[ROW_PART];
      decode_row(a->wte.type, a->wte.data, a->tokens[n] * C + c, part, out + c);
      decode_row(a->wpe.type, a->wpe.data, a->positions[n] * C + c, part, wpe);
      for (Index i = 0; i < part; i++) out[c + i] += wpe[i];
    }
  }
}

/* Tokens repeat, so threads split columns, not rows, and each row of a table is summed in the order of the tokens. */
static void embedding_backward(Ctx *ctx, const EmbeddingBackwardArgs *a) {
  Index N = a->N, C = a->C;
  float *dwte = a->dwte, *dwpe = a->dwpe;
  int64_t from, to;
  split(ctx, C, 16, &from, &to);
  for (Index n = 0; n < N; n++) {
    const float *dout = a->dout + n * C;
    if (dwte)
      for (Index c = from; c < to; c++) dwte[a->tokens[n] * C + c] += dout[c];
    if (dwpe)
      for (Index c = from; c < to; c++) dwpe[a->positions[n] * C + c] += dout[c];
  }
}

static void scatter_rows(Ctx *ctx, const ScatterRowsArgs *a) {
  int64_t from, to;
  split(ctx, a->N, 1, &from, &to);
  for (Index n = from; n < to; n++) {
    const Index at = a->index[n] * a->lddst;
    const float *src = a->src + n * a->ldsrc;
    if (a->dst.type == F32) {
      memcpy((float *)a->dst.data + at, src, (size_t)a->W * sizeof(float));
      continue;
    }
    uint16_t *halves = (uint16_t *)a->dst.data + at;
    for (Index i = 0; i < a->W; i++) halves[i] = saturating_half(src[i]);
  }
}

static void gather_rows(Ctx *ctx, const GatherRowsArgs *a) {
  int64_t from, to;
  split(ctx, a->N, 1, &from, &to);
  for (Index n = from; n < to; n++) decode_row(a->x.type, a->x.data, a->index[n] * a->W, a->W, a->out + n * a->W);
}
