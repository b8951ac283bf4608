/*
 * Scaled dot-product attention, forward and backward. A segment is a run of tokens that see the same first key row; a
 * segment and a head are one unit of work, and within it queries are taken in blocks of BQ: their scores against all the
 * keys they can see fill a strip of BQ x keys that stays in the cache, and the T x T matrix is never whole. The products
 * run on packed panels (gemm.h). Single queries (decoding) are plain dot products over the cache.
 */
#include "gemm.h"
#include "random.h"

#define BQ (4 * MR)

typedef struct {
  long N, NH, HS, ldq, ldkv;
  float scale;
  float p;
  uint32_t threshold, key0, key1;
  const int32_t *first, *last;
} Attention;

static Attention attention_of(const Args *a, const int32_t *first, const int32_t *last) {
  return (Attention){.N = a->dim[0], .NH = a->dim[1], .HS = a->dim[2], .ldq = a->dim[3], .ldkv = a->dim[4],
                     .scale = (float)a->scalar[0], .p = (float)a->scalar[1], .threshold = drop_threshold(a->scalar[1]),
                     .key0 = (uint32_t)a->scalar[2], .key1 = (uint32_t)a->scalar[3], .first = first, .last = last};
}

/* The end of the segment that starts at token n, and the last key row any of its tokens sees. */
static long segment_end(const Attention *at, long n, long *last) {
  int32_t first = at->first[n];
  *last = at->last[n];
  for (n++; n < at->N && at->first[n] == first; n++)
    if (at->last[n] > *last) *last = at->last[n];
  return n;
}

/* Rows of the strip (probabilities of one query) times their dropout mask. */
static void drop_row(const Attention *at, float *p, long n, long head, long keys) {
  uint32_t row_key = mix32(at->key1 + (uint32_t)(n * at->NH + head));
  float keep = 1.0f / (1.0f - at->p);
  for (long j = 0; j < keys; j++) p[j] = random_bits(at->key0, row_key, (uint32_t)j) >= at->threshold ? p[j] * keep : 0.0f;
}

/* s[0..keys) = exp(scale s - lse'), normalised; returns log-sum-exp of the scaled scores. Zeroes s[keys..width). */
static float softmax_row(float *s, long keys, long width, float scale) {
  long j = 0;
  vf mv = vset(s[0]);
  for (; j + VW <= keys; j += VW) mv = vmax(mv, vload(s + j));
  float max = vhmax(mv);
  for (; j < keys; j++) max = s[j] > max ? s[j] : max;
  max *= scale;
  for (j = keys; j < width; j++) s[j] = -1e30f; /* underflows to zero below */
  vf sv = {0};
  for (j = 0; j < keys; j += VW) {
    vf e = vexp(vload(s + j) * scale - max);
    vstore(s + j, e);
    sv += e;
  }
  for (; j < width; j += VW) vstore(s + j, (vf){0});
  float sum = vsum(sv), r = 1.0f / sum;
  for (j = 0; j < keys; j += VW) vstore(s + j, vload(s + j) * r);
  return max + __builtin_logf(sum);
}

#if defined(__wasm__)
/* Four keys at a time hide the multiply-add's latency; four vectors of a value are a cache line, read once. */
static void score_keys(const float *q, const float *k, long ld, long HS, long keys, float *scores) {
  for (long j = 0; j < keys; j += 4) {
    vf acc[4] = {{0}};
    const float *row[4];
    UNROLL for (int u = 0; u < 4; u++) row[u] = k + (j + u < keys ? j + u : j) * ld;
    long d = 0;
    for (; d + VW <= HS; d += VW) {
      vf qv = vload(q + d);
      UNROLL for (int u = 0; u < 4; u++) acc[u] = vmadd(qv, vload(row[u] + d), acc[u]);
    }
    for (; d < HS; d++) {
      UNROLL for (int u = 0; u < 4; u++) acc[u][0] += q[d] * row[u][d];
    }
    for (int u = 0; u < 4 && j + u < keys; u++) scores[j + u] = vsum(acc[u]);
  }
}

static void weigh_values(const float *weights, const float *v, long ld, long HS, long keys, float *out) {
  long d = 0;
  for (; d + 4 * VW <= HS; d += 4 * VW) {
    vf acc[4] = {{0}};
    for (long j = 0; j < keys; j++) {
      vf w = vset(weights[j]);
      UNROLL for (int u = 0; u < 4; u++) acc[u] = vmadd(w, vload(v + j * ld + d + u * VW), acc[u]);
    }
    UNROLL for (int u = 0; u < 4; u++) vstore(out + d + u * VW, acc[u]);
  }
  for (; d < HS; d += VW) {
    long part = HS - d < VW ? HS - d : VW;
    vf acc = {0};
    for (long j = 0; j < keys; j++) acc = vmadd(vset(weights[j]), vload_part(v + j * ld + d, part), acc);
    vstore_part(out + d, acc, part);
  }
}
#else
INLINE void score_keys(const float *q, const float *k, long ld, long HS, long keys, float *strip) {
  for (long j = 0; j < keys; j++) {
    const float *kj = k + j * ld;
    vf acc = {0};
    long d = 0;
    for (; d + VW <= HS; d += VW) acc += vload(q + d) * vload(kj + d);
    if (d < HS) acc += vload_part(q + d, HS - d) * vload_part(kj + d, HS - d);
    strip[j] = vsum(acc);
  }
}

INLINE void weigh_values(const float *strip, const float *v, long ld, long HS, long keys, float *out) {
  for (long d = 0; d < HS; d += VW) {
    long part = HS - d < VW ? HS - d : VW;
    vf acc[4] = {{0}, {0}, {0}, {0}};
    long j = 0;
    if (part == VW) {
      for (; j + 4 <= keys; j += 4) {
        UNROLL for (int u = 0; u < 4; u++) acc[u] += strip[j + u] * vload(v + (j + u) * ld + d);
      }
    }
    for (; j < keys; j++) acc[0] += strip[j] * (part == VW ? vload(v + j * ld + d) : vload_part(v + j * ld + d, part));
    vf sum = (acc[0] + acc[1]) + (acc[2] + acc[3]);
    if (part == VW) vstore(out + d, sum);
    else vstore_part(out + d, sum, part);
  }
}
#endif

/* One query against the cache: scores by dot products, then the weighted sum of the values. */
static void attend_one(const Attention *at, const float *q, const float *k, const float *v, float *out, float *lse,
                       float *strip, long n, long head, long keys) {
  long HS = at->HS, ld = at->ldkv, width = ROUND_UP(keys, VW);
  score_keys(q, k, ld, HS, keys, strip);
  *lse = softmax_row(strip, keys, width, at->scale);
  if (at->p > 0) drop_row(at, strip, n, head, keys);
  weigh_values(strip, v, ld, HS, keys, out);
}

static void attend_segment(Ctx *ctx, const Attention *at, const Args *a, long n0, long n1, long last, long head) {
  long HS = at->HS, NH = at->NH, C = NH * HS, k0 = at->first[n0], keys = last + 1 - k0;
  const float *q = (const float *)a->tensor[2] + head * HS;
  const float *k = (const float *)a->tensor[3] + k0 * at->ldkv + head * HS, *v = (const float *)a->tensor[4] + k0 * at->ldkv + head * HS;
  float *out = (float *)a->tensor[0] + head * HS, *lse = a->tensor[1], unused;
  long kp = ROUND_UP(keys, NR), hp = ROUND_UP(HS, NR);
  if (n1 - n0 < 4) {
    float *strip = scratch_bytes(ctx, (size_t)kp * sizeof(float));
    if (!strip) return;
    for (long n = n0; n < n1; n++)
      attend_one(at, q + n * at->ldq, k, v, out + n * C, lse ? lse + n * NH + head : &unused, strip, n, head, at->last[n] + 1 - k0);
    return;
  }
  float *kt = scratch_bytes(ctx, (size_t)(kp * HS + keys * hp + BQ * kp + BQ * (HS + keys) + 4 * VW + 64) * sizeof(float));
  if (!kt) return;
  float *vp = kt + kp * HS, *strip = vp + keys * hp, *qp = strip + BQ * kp, *pp = qp + BQ * HS + VW;
  pack_b(kt, k, 1, at->ldkv, HS, keys); /* Kᵀ: [HS][keys] */
  for (long n = n0; n < n1; n += BQ) {
    long bq = n1 - n < BQ ? n1 - n : BQ, seen = 0;
    for (long i = 0; i < bq; i++)
      if (at->last[n + i] + 1 - k0 > seen) seen = at->last[n + i] + 1 - k0;
    pack_a(qp, q + n * at->ldq, at->ldq, 1, bq, HS);
    gemm_packed(bq, seen, HS, qp, kt, strip, kp, 0, 0, NULL, 0, 0, NULL);
    long width = ROUND_UP(seen, VW);
    for (long i = 0; i < bq; i++) {
      long mine = at->last[n + i] + 1 - k0;
      float l = softmax_row(strip + i * kp, mine, width, at->scale);
      if (lse) lse[(n + i) * NH + head] = l;
      if (at->p > 0) drop_row(at, strip + i * kp, n + i, head, mine);
    }
    if (n == n0) pack_b(vp, v, at->ldkv, 1, keys, HS); /* [keys][HS] */
    pack_a(pp, strip, kp, 1, bq, seen);
    for (long j = 0; j < HS; j += NR) {
      /* A panel of V is `keys` long; this block of queries uses its first `seen` rows. */
      gemm_packed(bq, HS - j < NR ? HS - j : NR, seen, pp, vp + j * keys, out + n * C + j, C, 0, 0, NULL, 0, 0, NULL);
    }
  }
}

static void attention_forward(Ctx *ctx, const Args *a) {
  Attention at = attention_of(a, a->tensor[5], a->tensor[6]);
  long unit = 0;
  for (long n0 = 0, n1; n0 < at.N; n0 = n1) {
    long last;
    n1 = segment_end(&at, n0, &last);
    for (long head = 0; head < at.NH; head++, unit++)
      if (unit % ctx->threads == ctx->tid) attend_segment(ctx, &at, a, n0, n1, last, head);
  }
}

/*
 * For a block of queries, with P the (dropped) attention weights, recomputed from lse:
 *   dV += Pᵀ dO;  dP = dO Vᵀ (masked like P);  dS = P ⊙ (dP - rowsum(dO ⊙ O)) scale;  dQ = dS K;  dK += dSᵀ Q.
 */
static void attention_segment_backward(Ctx *ctx, const Attention *at, const Args *a, long n0, long n1, long last, long head) {
  long HS = at->HS, NH = at->NH, C = NH * HS, ldq = at->ldq, ld = at->ldkv, k0 = at->first[n0], keys = last + 1 - k0, h = head * HS;
  const float *dout = (const float *)a->tensor[3] + h, *out = (const float *)a->tensor[4] + h, *lse = a->tensor[5];
  const float *q = (const float *)a->tensor[6] + h, *k = (const float *)a->tensor[7] + k0 * ld + h, *v = (const float *)a->tensor[8] + k0 * ld + h;
  float *dq = (float *)a->tensor[0] + h, *dk = (float *)a->tensor[1] + k0 * ld + h, *dv = (float *)a->tensor[2] + k0 * ld + h;
  long kp = ROUND_UP(keys, NR), hp = ROUND_UP(HS, NR), km = ROUND_UP(keys, MR);
  size_t floats = 2 * kp * HS + 3 * keys * hp + 2 * BQ * kp + 2 * BQ * HS + BQ * keys + km * BQ + 2 * BQ * hp + 8 * VW;
  float *kt = scratch_bytes(ctx, floats * sizeof(float));
  if (!kt) return;
  float *vt = kt + kp * HS, *kb = vt + kp * HS, *dkt = kb + keys * hp, *dvt = dkt + keys * hp;
  float *s = dvt + keys * hp, *ds = s + BQ * kp;
  float *qa = ds + BQ * kp, *da = qa + BQ * HS + VW, *pa = da + BQ * HS + VW; /* A panels: Q, dO, dS */
  float *ta = pa + BQ * keys + VW, *qb = ta + km * BQ + VW, *db = qb + BQ * hp; /* A panels of a transpose; B panels: Q, dO */
  pack_b(kt, k, 1, ld, HS, keys);
  pack_b(vt, v, 1, ld, HS, keys);
  pack_b(kb, k, ld, 1, keys, HS);
  memset(dkt, 0, (size_t)keys * hp * 2 * sizeof(float));
  float keep = 1.0f / (1.0f - at->p);
  for (long n = n0; n < n1; n += BQ) {
    long bq = n1 - n < BQ ? n1 - n : BQ, seen = 0;
    for (long i = 0; i < bq; i++)
      if (at->last[n + i] + 1 - k0 > seen) seen = at->last[n + i] + 1 - k0;
    pack_a(qa, q + n * ldq, ldq, 1, bq, HS);
    pack_a(da, dout + n * C, C, 1, bq, HS);
    pack_b(qb, q + n * ldq, ldq, 1, bq, HS);
    pack_b(db, dout + n * C, C, 1, bq, HS);
    gemm_packed(bq, seen, HS, qa, kt, s, kp, 0, 0, NULL, 0, 0, NULL);
    gemm_packed(bq, seen, HS, da, vt, ds, kp, 0, 0, NULL, 0, 0, NULL);
    for (long i = 0; i < bq; i++) {
      long mine = at->last[n + i] + 1 - k0, j;
      float *si = s + i * kp, *di = ds + i * kp;
      const float *oi = out + (n + i) * C, *gi = dout + (n + i) * C;
      float delta = 0, l = lse[(n + i) * NH + head];
      for (long d = 0; d < HS; d++) delta += oi[d] * gi[d];
      for (j = mine; j < ROUND_UP(seen, VW); j++) si[j] = -1e30f, di[j] = 0;
      if (at->p > 0) {
        uint32_t row_key = mix32(at->key1 + (uint32_t)((n + i) * NH + head));
        for (j = 0; j < seen; j += VW) {
          vf p = vexp(vload(si + j) * at->scale - l);
          for (long u = 0; u < VW; u++) {
            float mask = random_bits(at->key0, row_key, (uint32_t)(j + u)) >= at->threshold ? keep : 0.0f;
            di[j + u] = p[u] * (di[j + u] * mask - delta) * at->scale;
            si[j + u] = p[u] * mask;
          }
        }
      } else {
        for (j = 0; j < seen; j += VW) {
          vf p = vexp(vload(si + j) * at->scale - l);
          vstore(di + j, p * (vload(di + j) - delta) * at->scale);
          vstore(si + j, p);
        }
      }
    }
    pack_a(pa, ds, kp, 1, bq, seen);
    for (long j = 0; j < HS; j += NR)
      gemm_packed(bq, HS - j < NR ? HS - j : NR, seen, pa, kb + j * keys, dq + n * ldq + j, ldq, 0, 0, NULL, 0, 0, NULL);
    pack_a(ta, ds, 1, kp, seen, bq);
    gemm_packed(seen, HS, bq, ta, qb, dkt, hp, 1, 0, NULL, 0, 0, NULL);
    pack_a(ta, s, 1, kp, seen, bq);
    gemm_packed(seen, HS, bq, ta, db, dvt, hp, 1, 0, NULL, 0, 0, NULL);
  }
  for (long j = 0; j < keys; j++) {
    memcpy(dk + j * ld, dkt + j * hp, (size_t)HS * sizeof(float));
    memcpy(dv + j * ld, dvt + j * hp, (size_t)HS * sizeof(float));
  }
}

/* Key rows that no token sees have no gradient. */
static void zero_unseen(const Attention *at, const Args *a, long from, long to, long head) {
  float *dk = (float *)a->tensor[1] + head * at->HS, *dv = (float *)a->tensor[2] + head * at->HS;
  for (long j = from; j < to; j++) {
    memset(dk + j * at->ldkv, 0, (size_t)at->HS * sizeof(float));
    memset(dv + j * at->ldkv, 0, (size_t)at->HS * sizeof(float));
  }
}

static void attention_backward(Ctx *ctx, const Args *a) {
  Attention at = attention_of(a, a->tensor[9], a->tensor[10]);
  long unit = 0, seen = 0;
  for (long n0 = 0, n1; n0 < at.N; n0 = n1) {
    long last;
    n1 = segment_end(&at, n0, &last);
    for (long head = 0; head < at.NH; head++, unit++) {
      if (unit % ctx->threads != ctx->tid) continue;
      zero_unseen(&at, a, seen, at.first[n0], head);
      attention_segment_backward(ctx, &at, a, n0, n1, last, head);
    }
    seen = last + 1;
  }
  for (long head = 0; head < at.NH; head++)
    if (head % ctx->threads == ctx->tid) zero_unseen(&at, a, seen, at.N, head);
}
