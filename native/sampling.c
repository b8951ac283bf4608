/* Summaries of rows of logits for sampling, by blocks of ids. */
#include "op.h"
#include "vec.h"

#define IDS_OF_BLOCK 64
/* Ids whose weights are added up in single precision. */
#define IDS_OF_PART 1024

/* The largest of n values; infinite if one is NaN. */
static float top_of(const float *x, Index n) {
  float top = -__builtin_inff();
  int nan = 0;
  Index i = 0;
  if (n >= VW) {
    vf tops = vload(x);
    vi nans = tops != tops;
    for (i = VW; i + VW <= n; i += VW) {
      vf v = vload(x + i);
      nans |= v != v;
      tops = vmax(tops, v);
    }
    top = vhmax(tops);
    nan = vsum_int(nans) != 0;
  }
  for (; i < n; i++) {
    nan |= x[i] != x[i];
    top = x[i] > top ? x[i] : top;
  }
  return nan ? __builtin_inff() : top;
}

/* w = exp(scale (x - largest)). Returns the sum. */
static float weigh(float *w, const float *x, Index n, float largest, float scale) {
  vf sums = {0};
  Index i = 0;
  for (; i + VW <= n; i += VW) {
    vf v = vexp((vload(x + i) - largest) * scale);
    vstore(w + i, v);
    sums += v;
  }
  float sum = vsum(sums);
  if (i < n) {
    vf v = vexp((vload_part(x + i, n - i) - largest) * scale);
    vstore_part(w + i, v, n - i);
    for (Index k = i; k < n; k++) sum += w[k];
  }
  return sum;
}

/* The sum of the weights of values from `bar` on. */
static float kept(const float *w, const float *x, Index n, float bar) {
  vf sums = {0};
  Index i = 0;
  for (; i + VW <= n; i += VW) sums += vselect(vload(x + i) >= bar, vload(w + i), (vf){0});
  float sum = vsum(sums);
  for (; i < n; i++) sum += x[i] >= bar ? w[i] : 0;
  return sum;
}

/* Where a bar divides a row: the weights from there on, the least value from there on, the largest below. */
typedef struct {
  double sum;
  float least, below;
} Division;

static Division divide(const float *w, const float *x, Index n, float bar) {
  const vf none = {0}, low = vset(-__builtin_inff()), high = vset(__builtin_inff());
  vf least = high, below = low;
  Division d = {0, __builtin_inff(), -__builtin_inff()};
  Index i = 0;
  for (Index from = 0; from < n; from += IDS_OF_PART) {
    Index to = from + IDS_OF_PART < n ? from + IDS_OF_PART : n;
    vf sums = none;
    for (i = from; i + VW <= to; i += VW) {
      vf v = vload(x + i);
      vi above = v >= bar;
      sums += vselect(above, vload(w + i), none);
      least = vmin(least, vselect(above, v, high));
      below = vmax(below, vselect(above, low, v));
    }
    d.sum += vsum(sums);
    for (; i < to; i++) {
      if (x[i] >= bar) {
        d.sum += w[i];
        d.least = x[i] < d.least ? x[i] : d.least;
      } else {
        d.below = x[i] > d.below ? x[i] : d.below;
      }
    }
  }
  for (int k = 0; k < VW; k++) {
    d.least = least[k] < d.least ? least[k] : d.least;
    d.below = below[k] > d.below ? below[k] : d.below;
  }
  return d;
}

/*
 * The largest value from which on the weights make up `share` of `total`. Naively: sort, and add up. Halving the range of
 * values in which it lies takes a dozen passes instead, each as fast as memory.
 */
static float bar_of(const float *w, const float *x, Index n, float largest, float scale, float share, double total) {
  double wanted = share * total;
  /* Values below `low` have less than (1 - share) of the total together, so it is not among them. */
  float low = largest + (__builtin_logf((float)((1 - share) * total / (double)n)) - 1e-3f) / scale, high = largest;
  if (divide(w, x, n, high).sum >= wanted) return high;
  for (;;) {
    float middle = low + (high - low) * 0.5f;
    if (!(middle > low && middle < high)) return low;
    Division d = divide(w, x, n, middle);
    if (d.sum >= wanted) {
      low = d.least;
    } else {
      if (d.below <= low) return low;
      high = middle;
    }
  }
}

static void summarise_rows(Ctx *ctx, const SummariseRowsArgs *a) {
  Index N = a->N, V = a->V, L = a->L, B = a->B;
  int64_t from, to;
  split(ctx, N, 1, &from, &to);
  float *w = scratch_bytes(ctx, (size_t)(L > 0 ? L : 1) * sizeof(float));
  if (!w) return;
  for (Index n = from; n < to; n++) {
    const float *x = a->logits + n * V;
    float *tops = a->tops + n * B, *sums = a->sums + n * B;
    float scale = a->scales[n], share = a->shares[n], largest = -__builtin_inff();
    double total = 0;
    for (Index b = 0; b < B; b++) {
      Index start = b * IDS_OF_BLOCK, left = L - start;
      tops[b] = left > 0 ? top_of(x + start, left < IDS_OF_BLOCK ? left : IDS_OF_BLOCK) : -__builtin_inff();
      largest = tops[b] > largest ? tops[b] : largest;
    }
    int finite = largest - largest == 0;
    for (Index b = 0; b < B; b++) {
      Index start = b * IDS_OF_BLOCK, left = L - start, size = left < IDS_OF_BLOCK ? left : IDS_OF_BLOCK;
      sums[b] = finite && scale != 0 && left > 0 ? weigh(w + start, x + start, size, largest, scale) : 0;
      total += sums[b];
    }
    a->bars[n] = 0;
    a->totals[n] = (float)total;
    if (!finite || scale == 0) continue;
    float bar = largest + a->floors[n];
    if (share < 1) {
      float reached = bar_of(w, x, L, largest, scale, share, total);
      bar = reached > bar ? reached : bar;
    }
    a->bars[n] = bar;
    for (Index b = 0; b < B && b * IDS_OF_BLOCK < L; b++) {
      Index start = b * IDS_OF_BLOCK, left = L - start;
      if (!(tops[b] >= bar)) sums[b] = 0;
      else if (share < 1 || bar > -1e30f) sums[b] = kept(w + start, x + start, left < IDS_OF_BLOCK ? left : IDS_OF_BLOCK, bar);
    }
  }
}
