/* Activation functions (src/program/activations.ts) and their derivatives. */
#include "op.h"
#include "vec.h"

/* Quick GELU is x sigmoid(1.702 x) (Hendrycks & Gimpel 2016, section 2). */
#define QUICK 1.702f

INLINE vf vsigmoid(vf x) { return 1.0f / (1.0f + vexp(-x)); }

/*
 * The probability that a normal variable is below x: erfc(-x / sqrt 2) / 2. With z = |x| / sqrt 2 and t = 1 / (1 + z/2),
 * erfc(z) = t exp(P(t) - z^2); P is a fit at the Chebyshev nodes of 0 <= z <= 6.6, off by at most 2.4e-8.
 */
INLINE vf vnormal_cdf(vf x) {
  vf z = vmax(x, -x) * 0.70710678f;
  vf t = 1.0f / (1.0f + 0.5f * z);
  vf p = vset(0.0974204304f);
  p = p * t - 0.4144962024f;
  p = p * t + 0.5090433822f;
  p = p * t + 0.1987965213f;
  p = p * t - 0.8532014169f;
  p = p * t + 0.4328652956f;
  p = p * t - 0.1209005474f;
  p = p * t + 0.4214298704f;
  p = p * t + 0.9942548612f;
  p = p * t - 1.2652121720f;
  vf tail = 0.5f * t * vexp(p - z * z);
  return vselect(x > 0.0f, 1.0f - tail, tail);
}

INLINE vf vtanh(vf x) { return 1.0f - 2.0f / (1.0f + vexp(2.0f * x)); }

INLINE vf activate(int act, vf x) {
  switch (act) {
    case ACT_GELU_NEW: return vgelu(x);
    case ACT_GELU: return x * vnormal_cdf(x);
    case ACT_RELU: return vmax(x, vset(0.0f));
    case ACT_SILU: return x * vsigmoid(x);
    case ACT_TANH: return vtanh(x);
    case ACT_QUICK_GELU: return x * vsigmoid(QUICK * x);
    default: return x;
  }
}

INLINE vf activate_grad(int act, vf x) {
  switch (act) {
    case ACT_GELU_NEW: return vgelu_grad(x);
    case ACT_GELU: return vnormal_cdf(x) + x * 0.39894228f * vexp(-0.5f * x * x); /* cdf + x pdf */
    case ACT_RELU: return vselect(x > 0.0f, vset(1.0f), vset(0.0f));
    case ACT_SILU: {
      vf s = vsigmoid(x);
      return s + x * s * (1.0f - s);
    }
    case ACT_TANH: {
      vf y = vtanh(x);
      return 1.0f - y * y;
    }
    case ACT_QUICK_GELU: {
      vf s = vsigmoid(QUICK * x);
      return s + QUICK * x * s * (1.0f - s);
    }
    default: return vset(1.0f);
  }
}

/* out = act(x), or with dout out = dout act'(x). */
static void activation_range(int act, float *out, const float *dout, const float *x, Index from, Index to) {
  for (Index i = from; i < to; i += VW) {
    Index part = to - i < VW ? to - i : VW;
    vf v = part == VW ? vload(x + i) : vload_part(x + i, part);
    if (dout) v = activate_grad(act, v) * (part == VW ? vload(dout + i) : vload_part(dout + i, part));
    else v = activate(act, v);
    if (part == VW) vstore(out + i, v);
    else vstore_part(out + i, v, part);
  }
}

static void activation(Ctx *ctx, const ActivationArgs *a) {
  int64_t from, to;
  split(ctx, (int64_t)a->N * a->C, 4096, &from, &to);
  activation_range(a->act, a->out, NULL, a->x, from, to);
}

static void activation_backward(Ctx *ctx, const ActivationBackwardArgs *a) {
  int64_t from, to;
  split(ctx, (int64_t)a->N * a->C, 4096, &from, &to);
  activation_range(a->act, a->dx, a->dout, a->x, from, to);
}
