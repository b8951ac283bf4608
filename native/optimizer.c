/* Gradient norm and AdamW. */
#include "op.h"
#include "vec.h"

#define NORM_BLOCK 16384

/* Each block is summed by one thread, the blocks in order by the first, so the result depends on no thread count. */
static void norm(Ctx *ctx, const NormArgs *a) {
  const float *x = a->x;
  Index size = a->size, block = NORM_BLOCK;
  while ((size + block - 1) / block > TEAM_PARTIALS) block *= 2;
  Index blocks = (size + block - 1) / block;
  double *partials = team_partials(ctx);
  int64_t from, to;
  split(ctx, blocks, 1, &from, &to);
  for (Index b = from; b < to; b++) {
    double acc[16] = {0};
    Index i = b * block, end = i + block < size ? i + block : size;
    for (; i + 16 <= end; i += 16)
      for (int j = 0; j < 16; j++) acc[j] += (double)x[i + j] * x[i + j];
    for (; i < end; i++) acc[0] += (double)x[i] * x[i];
    double sum = 0;
    for (int j = 0; j < 16; j++) sum += acc[j];
    partials[b] = sum;
  }
  team_barrier(ctx);
  if (ctx->tid == 0) {
    double sum = 0;
    for (Index b = 0; b < blocks; b++) sum += partials[b];
    *a->norm = (float)__builtin_sqrt(sum);
  }
}

static void adamw(Ctx *ctx, const AdamwArgs *a) {
  float *restrict param = a->param, *restrict m = a->m, *restrict v = a->v;
  const float *restrict grad = a->grad, *norm = a->norm;
  float lr = (float)a->lr, beta1 = (float)a->beta1, beta2 = (float)a->beta2, epsilon = (float)a->epsilon;
  float decay = (float)(1.0 - a->lr * a->weightDecay);
  float rc1 = (float)(1.0 / a->correction1), rc2 = (float)(1.0 / a->correction2);
  double max_norm = a->maxNorm;
  float clip = 1.0f;
  if (norm && max_norm > 0 && max_norm / (*norm + 1e-6) < 1) clip = (float)(max_norm / (*norm + 1e-6));
  float one_minus1 = (float)(1.0 - a->beta1), one_minus2 = (float)(1.0 - a->beta2);
  int64_t from, to;
  split(ctx, a->size, 4096, &from, &to);
  for (Index i = from; i < to; i++) {
    float g = grad[i] * clip;
    m[i] = beta1 * m[i] + one_minus1 * g;
    v[i] = beta2 * v[i] + one_minus2 * (g * g);
    param[i] = param[i] * decay - lr * (m[i] * rc1) / (__builtin_sqrtf(v[i] * rc2) + epsilon);
  }
}
