/* Activations on their own, by the numbers of src/program/activations.ts, and their derivatives. */
#include "op.h"
#include "vec.h"

enum { NONE, GELU_TANH, GELU, RELU, SILU, TANH, QUICK_GELU };

/* How much steeper than the identity's sigmoid quick GELU's is. */
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

INLINE vf activate(int kind, vf x) {
  switch (kind) {
    case GELU_TANH: return vgelu(x);
    case GELU: return x * vnormal_cdf(x);
    case RELU: return vmax(x, vset(0.0f));
    case SILU: return x * vsigmoid(x);
    case TANH: return vtanh(x);
    case QUICK_GELU: return x * vsigmoid(QUICK * x);
    default: return x;
  }
}

INLINE vf activate_grad(int kind, vf x) {
  switch (kind) {
    case GELU_TANH: return vgelu_grad(x);
    case GELU: return vnormal_cdf(x) + x * 0.39894228f * vexp(-0.5f * x * x); /* cdf + x pdf */
    case RELU: return vselect(x > 0.0f, vset(1.0f), vset(0.0f));
    case SILU: {
      vf s = vsigmoid(x);
      return s + x * s * (1.0f - s);
    }
    case TANH: {
      vf y = vtanh(x);
      return 1.0f - y * y;
    }
    case QUICK_GELU: {
      vf s = vsigmoid(QUICK * x);
      return s + QUICK * x * s * (1.0f - s);
    }
    default: return vset(1.0f);
  }
}

/* out = act(x), or with dout out = dout act'(x). */
static void activation_range(int kind, float *out, const float *dout, const float *x, long from, long to) {
  for (long i = from; i < to; i += VW) {
    long part = to - i < VW ? to - i : VW;
    vf v = part == VW ? vload(x + i) : vload_part(x + i, part);
    if (dout) v = activate_grad(kind, v) * (part == VW ? vload(dout + i) : vload_part(dout + i, part));
    else v = activate(kind, v);
    if (part == VW) vstore(out + i, v);
    else vstore_part(out + i, v, part);
  }
}

static void activation(Ctx *ctx, const Args *a) {
  int64_t from, to;
  split(ctx, a->dim[0] * a->dim[1], 4096, &from, &to);
  activation_range((int)a->scalar[0], a->tensor[0], NULL, a->tensor[1], from, to);
}

static void activation_backward(Ctx *ctx, const Args *a) {
  int64_t from, to;
  split(ctx, a->dim[0] * a->dim[1], 4096, &from, &to);
  activation_range((int)a->scalar[0], a->tensor[0], a->tensor[1], a->tensor[2], from, to);
}
