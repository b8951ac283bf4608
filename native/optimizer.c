/* Gradient norm, AdamW, and the elementwise parts of Muon. */
#include "op.h"
#include "vec.h"

#define NORM_BLOCK 16384

/* Each block is summed by one thread, and the blocks in order by the first, so the result does not depend on the number of threads. */
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

/* The factor that reduces gradients of this global norm to max_norm; 0 means no limit. */
static float clip_factor(const float *norm, double max_norm) {
  if (!norm || max_norm <= 0 || max_norm / (*norm + 1e-6) >= 1) return 1.0f;
  return (float)(max_norm / (*norm + 1e-6));
}

static void adamw(Ctx *ctx, const AdamwArgs *a) {
  float *restrict param = a->param, *restrict m = a->m, *restrict v = a->v;
  const float *restrict grad = a->grad;
  float lr = (float)a->lr, beta1 = (float)a->beta1, beta2 = (float)a->beta2, epsilon = (float)a->epsilon;
  float decay = (float)(1.0 - a->lr * a->weightDecay);
  float rc1 = (float)(1.0 / a->correction1), rc2 = (float)(1.0 / a->correction2);
  float clip = clip_factor(a->norm, a->maxNorm);
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

static void momentum(Ctx *ctx, const MomentumArgs *a) {
  float *restrict out = a->out, *restrict m = a->m;
  const float *restrict grad = a->grad;
  float momentum = (float)a->momentum, rest = (float)(1.0 - a->momentum), clip = clip_factor(a->norm, a->maxNorm);
  int64_t from, to;
  split(ctx, a->size, 4096, &from, &to);
  for (Index i = from; i < to; i++) {
    float g = grad[i] * clip;
    m[i] += rest * (g - m[i]);
    out[i] = g + momentum * (m[i] - g);
  }
}

static void weighted_sum(Ctx *ctx, const WeightedSumArgs *args) {
  float *out = args->out;
  const float *a = args->a, *b = args->b;
  double divisor = 1;
  if (args->norm) divisor = *args->norm > args->epsilon ? *args->norm : args->epsilon;
  float alpha = (float)(args->alpha / divisor), beta = (float)(args->beta / divisor);
  int64_t from, to;
  split(ctx, args->size, 4096, &from, &to);
  if (b) for (Index i = from; i < to; i++) out[i] = alpha * a[i] + beta * b[i];
  else for (Index i = from; i < to; i++) out[i] = alpha * a[i];
}

static void decayed_step(Ctx *ctx, const DecayedStepArgs *a) {
  float *restrict param = a->param;
  const float *restrict step = a->step;
  float decay = (float)(1.0 - a->lr * a->weightDecay), rate = (float)(a->lr * a->scale);
  int64_t from, to;
  split(ctx, a->size, 4096, &from, &to);
  for (Index i = from; i < to; i++) param[i] = param[i] * decay - rate * step[i];
}
