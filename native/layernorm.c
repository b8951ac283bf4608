/* Layer normalization (Ba, Kiros & Hinton 2016) over the C channels of each row. */
#include "op.h"
#include "vec.h"

INLINE float row_sum(const float *x, Index C) {
  vf acc = {0};
  Index c = 0;
  for (; c + VW <= C; c += VW) acc += vload(x + c);
  if (c < C) acc += vload_part(x + c, C - c);
  return vsum(acc);
}

static void layernorm_forward(Ctx *ctx, const LayernormForwardArgs *a) {
  Index N = a->N, C = a->C;
  float epsilon = (float)a->epsilon, *mean = a->mean, *rstd = a->rstd;
  const float *w = a->weight, *b = a->bias;
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (Index n = from; n < to; n++) {
    const float *x = a->x + n * C;
    float *out = a->out + n * C;
    float mu = row_sum(x, C) / C;
    vf acc = {0};
    Index c = 0;
    for (; c + VW <= C; c += VW) {
      vf d = vload(x + c) - mu;
      acc += d * d;
    }
    float ss = vsum(acc);
    for (; c < C; c++) ss += (x[c] - mu) * (x[c] - mu);
    float s = 1.0f / __builtin_sqrtf(ss / C + epsilon);
    for (c = 0; c + VW <= C; c += VW) vstore(out + c, (vload(x + c) - mu) * s * vload(w + c) + vload(b + c));
    for (; c < C; c++) out[c] = (x[c] - mu) * s * w[c] + b[c];
    if (mean) mean[n] = mu;
    if (rstd) rstd[n] = s;
  }
}

static void layernorm_backward(Ctx *ctx, const LayernormBackwardArgs *a) {
  Index N = a->N, C = a->C;
  int overwrite = a->overwrite;
  float *dw = a->dweight, *db = a->dbias;
  const float *w = a->weight, *mean = a->mean, *rstd = a->rstd;
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (Index n = from; n < to; n++) {
    float *dx = a->dx + n * C;
    const float *dout = a->dout + n * C, *x = a->x + n * C;
    float mu = mean[n], s = rstd[n];
    vf acc1 = {0}, acc2 = {0};
    Index c = 0;
    for (; c + VW <= C; c += VW) {
      vf g = vload(dout + c) * vload(w + c);
      acc1 += g;
      acc2 += g * ((vload(x + c) - mu) * s);
    }
    float m1 = vsum(acc1), m2 = vsum(acc2);
    for (; c < C; c++) {
      float g = dout[c] * w[c];
      m1 += g;
      m2 += g * ((x[c] - mu) * s);
    }
    m1 /= C;
    m2 /= C;
    for (c = 0; c + VW <= C; c += VW) {
      vf d = (vload(dout + c) * vload(w + c) - m1 - (vload(x + c) - mu) * s * m2) * s;
      vstore(dx + c, overwrite ? d : vload(dx + c) + d);
    }
    for (; c < C; c++) {
      float d = (dout[c] * w[c] - m1 - (x[c] - mu) * s * m2) * s;
      dx[c] = overwrite ? d : dx[c] + d;
    }
  }
  if (!dw && !db) return;
  /* The sums over rows: each thread owns some columns and takes the rows in order. */
  split(ctx, C, 64, &from, &to);
  for (Index n = 0; n < N; n++) {
    const float *dout = a->dout + n * C, *x = a->x + n * C;
    float mu = mean[n], s = rstd[n];
    if (dw)
      for (Index c = from; c < to; c++) dw[c] += dout[c] * ((x[c] - mu) * s);
    if (db)
      for (Index c = from; c < to; c++) db[c] += dout[c];
  }
}
