/* Softmax cross-entropy over the vocabulary, and its gradient in the same pass. */
#include "op.h"
#include "vec.h"

static void cross_entropy(Ctx *ctx, const CrossEntropyArgs *a) {
  Index N = a->N, V = a->V;
  float *losses = a->losses, *dlogits = a->dlogits, scale = (float)a->scale;
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  for (Index n = from; n < to; n++) {
    const float *x = a->logits + n * V;
    float *dx = dlogits ? dlogits + n * V : NULL;
    Index target = a->targets[n], v = 0;
    if (target < 0) {
      losses[n] = 0;
      if (dx) memset(dx, 0, (size_t)V * sizeof(float));
      continue;
    }
    vf mv = vset(x[0]);
    for (; v + VW <= V; v += VW) mv = vmax(mv, vload(x + v));
    float max = vhmax(mv);
    for (; v < V; v++) max = x[v] > max ? x[v] : max;
    vf sv = {0};
    for (v = 0; v + VW <= V; v += VW) sv += vexp(vload(x + v) - max);
    float sum = vsum(sv);
    if (v < V) {
      vf tail = vexp(vload_part(x + v, V - v) - max);
      for (Index i = 0; v + i < V; i++) sum += tail[i];
    }
    float lse = max + __builtin_logf(sum);
    losses[n] = lse - x[target];
    if (!dx) continue;
    for (v = 0; v + VW <= V; v += VW) vstore(dx + v, vexp(vload(x + v) - lse) * scale);
    if (v < V) vstore_part(dx + v, vexp(vload_part(x + v, V - v) - lse) * scale, V - v);
    dx[target] -= scale;
  }
}
