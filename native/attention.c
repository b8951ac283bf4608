/*
 * Scaled dot-product attention, forward and backward. Naively the T x T matrix of scores is computed, softmaxed, and multiplied
 * with the values. Here a segment is a run of tokens that see the same first key row, or whose first rows advance within the rows
 * that the previous token sees. A segment and a head are one unit of work; within it queries are processed in blocks, of NR
 * forward and BQ backward: their scores against all the keys they can see fill a strip of block x
 * keys that stays in the cache, so the T x T matrix never exists as a whole. The products run on packed panels (gemm.h). A
 * few queries (decoding) are plain dot products over the cached keys, of many heads at a time.
 */
#include "gemm.h"
#include "random.h"

/* Number of queries in a block of the backward pass. */
#define BQ (4 * MR)

typedef struct {
  Index N, NH, HS, ldq, ldkv;
  float scale;
  float p;
  uint32_t threshold, key0, key1;
  const int32_t *first, *last;
} Attention;

/* The common fields of AttentionForwardArgs and AttentionBackwardArgs. */
#define ATTENTION(a) \
  (Attention){.N = (a)->N, .NH = (a)->NH, .HS = (a)->HS, .ldq = (a)->ldq, .ldkv = (a)->ldkv, .scale = (float)(a)->scale, \
              .p = (float)(a)->p, .threshold = drop_threshold((a)->p), .key0 = (a)->key0, .key1 = (a)->key1, \
              .first = (a)->first, .last = (a)->last}

/* The end of the segment that starts at token n, and the last key row any of its tokens sees. */
static Index segment_end(const Attention *at, Index n, Index *last) {
  *last = at->last[n];
  for (n++; n < at->N && (at->first[n] == at->first[n - 1] || (at->first[n] > at->first[n - 1] && at->first[n] <= at->last[n - 1])); n++)
    if (at->last[n] > *last) *last = at->last[n];
  return n;
}

/*
 * Key rows of `count` queries from token n, counted from row k0: none of the queries sees a row before *begin, a multiple of `step`;
 * rows from *common on are not before any query's first. The first rows of a segment's tokens never decrease.
 */
static void block_start(const Attention *at, Index n, Index count, Index k0, Index step, Index *begin, Index *common) {
  *begin = (at->first[n] - k0) / step * step;
  *common = at->first[n + count - 1] - k0;
}

/* A row of the strip (probabilities of one query, from the first key it sees) times its dropout mask. */
static void drop_row(const Attention *at, float *p, Index n, Index head, Index keys) {
  uint32_t row_key = mix32(at->key1 + (uint32_t)(n * at->NH + head));
  float keep = 1.0f / (1.0f - at->p);
  for (Index j = 0; j < keys; j++) p[j] = random_bits(at->key0, row_key, (uint32_t)j) >= at->threshold ? p[j] * keep : 0.0f;
}

/* s[0..keys) = exp(scale s - lse'), normalized; returns log-sum-exp of the scaled scores. Zeroes s[keys..width). */
static float softmax_row(float *s, Index keys, Index width, float scale) {
  Index j = 0;
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

/* The rows of one head are separated by those of all heads, too far for the hardware prefetcher: rows are prefetched explicitly. */
#define ROWS_AHEAD 16
#define KEYS 4 /* scored at a time, which hides the multiply-add's latency */

INLINE void fetch_row(int type, const char *row, Index HS) {
  for (Index d = 0; d < (Index)packed_bytes(type, HS); d += 64) __builtin_prefetch(row + d);
}

/* VW keys or values, or the first n of them. */
INLINE vf load_cached(int type, const char *row, Index d) {
  return type == F16 ? vload_f16(row + 2 * d) : vload((const float *)row + d);
}
INLINE vf load_cached_part(int type, const char *row, Index d, Index n) {
  if (type == F32) return vload_part((const float *)row + d, n);
  uint16_t halves[VW] = {0};
  for (Index i = 0; i < n; i++) memcpy(halves + i, row + 2 * (d + i), sizeof *halves);
  return vload_f16(halves);
}

/* ld is in bytes, here and below. */
INLINE void score_keys(int type, const float *q, const char *k, Index ld, Index HS, Index keys, float *scores) {
  for (Index j = 0; j < keys; j += KEYS) {
    vf acc[KEYS] = {{0}};
    const char *row[KEYS];
    UNROLL for (int u = 0; u < KEYS; u++) {
      row[u] = k + (j + u < keys ? j + u : j) * ld;
      fetch_row(type, row[u] + ROWS_AHEAD * ld, HS);
    }
    Index d = 0;
    for (; d + VW <= HS; d += VW) {
      vf qv = vload(q + d);
      UNROLL for (int u = 0; u < KEYS; u++) acc[u] = vmadd(qv, load_cached(type, row[u], d), acc[u]);
    }
    if (d < HS) {
      vf qv = vload_part(q + d, HS - d);
      UNROLL for (int u = 0; u < KEYS; u++) acc[u] = vmadd(qv, load_cached_part(type, row[u], d, HS - d), acc[u]);
    }
    for (int u = 0; u < KEYS && j + u < keys; u++) scores[j + u] = vsum(acc[u]);
  }
}

/* Adds to `count` neighbouring vectors of the sum at once, two rows at a time. */
INLINE void weigh_vectors(int type, int count, const float *weights, const char *v, Index ld, Index keys, float *out) {
  vf acc[2][4] = {{{0}}};
  UNROLL for (int c = 0; c < count; c++) acc[0][c] = vload(out + c * VW);
  Index j = 0;
  for (; j + 2 <= keys; j += 2) {
    UNROLL for (int u = 0; u < 2; u++) {
      const char *row = v + (j + u) * ld;
      fetch_row(type, row + ROWS_AHEAD * ld, count * VW);
      vf w = vset(weights[j + u]);
      UNROLL for (int c = 0; c < count; c++) acc[u][c] = vmadd(w, load_cached(type, row, c * VW), acc[u][c]);
    }
  }
  if (j < keys) {
    vf w = vset(weights[j]);
    UNROLL for (int c = 0; c < count; c++) acc[0][c] = vmadd(w, load_cached(type, v + j * ld, c * VW), acc[0][c]);
  }
  UNROLL for (int c = 0; c < count; c++) vstore(out + c * VW, acc[0][c] + acc[1][c]);
}

INLINE void weigh_values(int type, const float *weights, const char *v, Index ld, Index HS, Index keys, float *out) {
  const Index bytes = type == F16 ? 2 : 4;
  Index d = 0;
  for (; d + 4 * VW <= HS; d += 4 * VW) weigh_vectors(type, 4, weights, v + d * bytes, ld, keys, out + d);
  for (; d + VW <= HS; d += VW) weigh_vectors(type, 1, weights, v + d * bytes, ld, keys, out + d);
  if (d == HS) return;
  vf acc = vload_part(out + d, HS - d);
  for (Index j = 0; j < keys; j++) acc = vmadd(vset(weights[j]), load_cached_part(type, v + j * ld, d, HS - d), acc);
  vstore_part(out + d, acc, HS - d);
}

/* Number of keys that all of a thread's heads score before the next ones: their rows are neighbours in memory. */
#define KEY_BLOCK 128

/* One query against the cache, heads h0 to h1: scores by dot products, then the weighted sums of the values. */
INLINE void attend_one(int type, const Attention *at, const float *q, const char *k, const char *v, float *out, float *lse,
                       float *strips, Index kp, Index n, Index h0, Index h1, Index keys) {
  Index HS = at->HS, row = (Index)packed_bytes(type, HS), ld = (Index)packed_bytes(type, at->ldkv), width = ROUND_UP(keys, VW);
  for (Index j = 0; j < keys; j += KEY_BLOCK) {
    Index count = keys - j < KEY_BLOCK ? keys - j : KEY_BLOCK;
    for (Index h = h0; h < h1; h++) score_keys(type, q + h * HS, k + j * ld + h * row, ld, HS, count, strips + (h - h0) * kp + j);
  }
  for (Index h = h0; h < h1; h++) {
    float *strip = strips + (h - h0) * kp, sum = softmax_row(strip, keys, width, at->scale);
    if (lse) lse[h] = sum;
    if (at->p > 0) drop_row(at, strip, n, h, keys);
  }
  memset(out + h0 * HS, 0, (size_t)((h1 - h0) * HS) * sizeof(float));
  for (Index j = 0; j < keys; j += KEY_BLOCK) {
    Index count = keys - j < KEY_BLOCK ? keys - j : KEY_BLOCK;
    for (Index h = h0; h < h1; h++) weigh_values(type, strips + (h - h0) * kp + j, v + j * ld + h * row, ld, HS, count, out + h * HS);
  }
}

#define FEW 8

/* Number of queries too small for packed panels to pay. */
static void attend_few(Ctx *ctx, const Attention *at, const AttentionForwardArgs *a, Index n0, Index n1, Index last, Index h0, Index h1) {
  Index C = at->NH * at->HS, kp = ROUND_UP(last + 1 - at->first[n0], VW);
  const float *q = a->q;
  float *out = a->out, *lse = a->lse, *strips = scratch_bytes(ctx, (size_t)((h1 - h0) * kp) * sizeof(float));
  if (!strips) return;
  for (Index n = n0; n < n1; n++) {
    Index k0 = at->first[n], keys = at->last[n] + 1 - k0;
    const char *k = packed_at(a->k.type, a->k.data, k0 * at->ldkv), *v = packed_at(a->v.type, a->v.data, k0 * at->ldkv);
    const float *query = q + n * at->ldq;
    float *sums = lse ? lse + n * at->NH : NULL;
    if (a->k.type == F16) attend_one(F16, at, query, k, v, out + n * C, sums, strips, kp, n, h0, h1, keys);
    else attend_one(F32, at, query, k, v, out + n * C, sums, strips, kp, n, h0, h1, keys);
  }
}

/* ---- Many queries ---- */

/* Scores [keys][NR] of NR queries, one column each: queries lie side by side in a vector, so softmax needs no sums across one. */
typedef struct {
  vf max[NV], sum[NV];
  vi first[NV], last[NV]; /* each query's keys */
} Columns;

INLINE vi key_index(Index j) { return (vi){0} + (int32_t)j; }

/*
 * scores = e^(scale (score - column's maximum)) for keys from `begin`, zero where the query does not see the key; all queries see
 * the keys from `common` up to `all`.
 */
static void softmax_columns(float *scores, Index begin, Index keys, Index common, Index all, float scale, Columns *c) {
  UNROLL for (int v = 0; v < NV; v++) c->max[v] = vset(-1e30f), c->sum[v] = (vf){0};
  for (Index j = begin; j < keys; j++) {
    UNROLL for (int v = 0; v < NV; v++) {
      vf s = vload(scores + j * NR + v * VW);
      if (j >= all || j < common) {
        s = vselect((vi)((key_index(j) > c->last[v]) | (key_index(j) < c->first[v])), vset(-1e30f), s);
        vstore(scores + j * NR + v * VW, s);
      }
      c->max[v] = vmax(s, c->max[v]);
    }
  }
  for (Index j = begin; j < keys; j++) {
    UNROLL for (int v = 0; v < NV; v++) {
      vf e = vexp((vload(scores + j * NR + v * VW) - c->max[v]) * scale);
      vstore(scores + j * NR + v * VW, e);
      c->sum[v] += e;
    }
  }
}

/* Applies drop_row to the columns' queries, the first of which is n; their keys are counted from row k0. */
static void drop_columns(const Attention *at, float *scores, Index n, Index count, Index k0, Index head, Index begin, Index keys) {
  uint32_t row_key[NR];
  float keep = 1.0f / (1.0f - at->p);
  for (Index i = 0; i < count; i++) row_key[i] = mix32(at->key1 + (uint32_t)((n + i) * at->NH + head));
  for (Index j = begin; j < keys; j++) {
    float *p = scores + j * NR;
    for (Index i = 0; i < count; i++) {
      uint32_t key = (uint32_t)(j - (at->first[n + i] - k0));
      p[i] = random_bits(at->key0, row_key[i], key) >= at->threshold ? p[i] * keep : 0.0f;
    }
  }
}

/* The last few rows of a head use a smaller tile. */
INLINE void tile_of(int pairs, Index rows, Index kc, const float *a, const float *b, float *c, int load_c) {
  if (MR > 4 && rows <= 4) micro_rows(pairs, 4, kc, a, b, c, NR, load_c);
  else if (MR > 8 && rows <= 8) micro_rows(pairs, 8, kc, a, b, c, NR, load_c);
  else micro_rows(pairs, MR, kc, a, b, c, NR, load_c);
}

static __attribute__((noinline)) void tile_of_rows(int bf16, Index rows, Index kc, const float *a, const float *b, float *c, int load_c) {
  if (PAIRS && bf16) tile_of(1, rows, kc, a, b, c, load_c);
  else tile_of(0, rows, kc, a, b, c, load_c);
}

/* Rounds weights [keys][NR] from key `begin` on to factors in bf16, in place: rounded rows, or pairs of rows. */
static void round_weights(float *weights, Index begin, Index keys) {
#if PAIRS
  for (Index j = begin; j < keys; j += 2) {
    UNROLL for (int v = 0; v < NV; v++) {
      const float *from = weights + j * NR + v * VW;
      vf second = j + 1 < keys ? vload(from + NR) : (vf){0};
      vstore(weights + (begin + (j - begin) / 2) * NR + v * VW, vpair(vload(from), second));
    }
  }
#else
  round_to_bf16(weights + begin * NR, (size_t)((keys - begin) * NR));
#endif
}

/* The head's keys, or values, as floats `*ld` apart: in place, or decoded into temp. */
static const float *head_rows(Cached cached, Index k0, Index keys, Index head, const Attention *at, float *temp, Index *ld) {
  const Index from = k0 * at->ldkv + head * at->HS;
  *ld = at->ldkv;
  if (cached.type == F32) return (const float *)cached.data + from;
  for (Index j = 0; j < keys; j++) decode_row(cached.type, cached.data, from + j * at->ldkv, at->HS, temp + j * at->HS);
  *ld = at->HS;
  return temp;
}

/* out's rows (queries, `count` of them) = the columns of sums [HS][NR], each over its column's sum. */
static void store_columns(const float *sums, Index HS, const Columns *c, Index count, float *out, Index ld) {
  UNROLL for (int v = 0; v < NV; v++) {
    vf inverse = 1.0f / c->sum[v];
    Index queries = count - v * VW < VW ? count - v * VW : VW;
    for (Index d = 0; d < HS; d += VW) {
      vf r[VW];
      Index part = HS - d < VW ? HS - d : VW;
      UNROLL for (int i = 0; i < VW; i++) r[i] = i < part ? vload(sums + (d + i) * NR + v * VW) * inverse : (vf){0};
      vtranspose(r);
      for (Index i = 0; i < queries; i++) {
        float *to = out + (v * VW + i) * ld + d;
        if (part == VW) vstore(to, r[i]);
        else vstore_part(to, r[i], part);
      }
    }
  }
}

static void attend_segment(Ctx *ctx, const Attention *at, const AttentionForwardArgs *a, Index n0, Index n1, Index last,
                           Index head) {
  const Index HS = at->HS, NH = at->NH, C = NH * HS, k0 = at->first[n0], keys = last + 1 - k0;
  const int bf16 = a->bf16, step = STEP(bf16);
  const Index hs = (HS + step - 1) / step, ks = (keys + step - 1) / step; /* steps of the two products */
  const float *q = a->q + head * HS;
  float *out = a->out + head * HS, *lse = a->lse;
  const Index km = ROUND_UP(keys, MR), hm = ROUND_UP(HS, MR), decoded = a->k.type == F32 ? 0 : keys * HS;
  float *kp = scratch_bytes(ctx, (size_t)(km * hs + hm * ks + (km + hs + hm) * NR + decoded + 4 * VW) * sizeof(float));
  if (!kp) return;
  float *vp = kp + km * hs + VW, *scores = vp + hm * ks + VW, *qp = scores + km * NR, *sums = qp + hs * NR, *temp = sums + hm * NR;
  Index ld;
  const float *k = head_rows(a->k, k0, keys, head, at, temp, &ld);
  pack_a(bf16, kp, k, ld, 1, keys, HS); /* K */
  const float *v = head_rows(a->v, k0, keys, head, at, temp, &ld);
  pack_a(bf16, vp, v, 1, ld, HS, keys); /* Vᵀ */
  for (Index n = n0; n < n1; n += NR) {
    Index bq = n1 - n < NR ? n1 - n : NR, seen = 0, all = keys, begin, common;
    int32_t starts[NR] = {0}, ends[NR] = {0};
    block_start(at, n, bq, k0, MR, &begin, &common);
    for (Index i = 0; i < bq; i++) {
      Index mine = at->last[n + i] + 1 - k0;
      starts[i] = (int32_t)(at->first[n + i] - k0);
      ends[i] = (int32_t)mine - 1;
      if (mine > seen) seen = mine;
      if (mine < all) all = mine;
    }
    Columns c;
    memcpy(c.first, starts, sizeof c.first);
    memcpy(c.last, ends, sizeof c.last);
    pack_b(bf16, qp, q + n * at->ldq, 1, at->ldq, HS, bq); /* Qᵀ */
    for (Index j = begin; j < seen; j += MR) micro_tile(bf16, hs, kp + j * hs, qp, scores + j * NR, NR, 0);
    softmax_columns(scores, begin, seen, common, all, at->scale, &c);
    if (lse) {
      float max[NR], sum[NR];
      memcpy(max, c.max, sizeof max), memcpy(sum, c.sum, sizeof sum);
      for (Index i = 0; i < bq; i++) lse[(n + i) * NH + head] = max[i] * at->scale + __builtin_logf(sum[i]);
    }
    if (at->p > 0) drop_columns(at, scores, n, bq, k0, head, begin, seen);
    if (bf16) round_weights(scores, begin, seen);
    const Index steps = (seen - begin + step - 1) / step;
    for (Index j = 0; j < steps; j += KC) { /* the weights of KC keys stay in the first-level cache */
      Index kc = steps - j < KC ? steps - j : KC;
      const float *weights = scores + (begin + j) * NR, *values = vp + (begin / step + j) * MR;
      for (Index d = 0; d < HS; d += MR) tile_of_rows(bf16, HS - d, kc, values + d * ks, weights, sums + d * NR, j > 0);
    }
    store_columns(sums, HS, &c, bq, out + n * C, C);
  }
}

/* The sum of n products. */
static float dot(Index n, const float *a, const float *b) {
  vf sum = {0};
  Index i = 0;
  for (; i + VW <= n; i += VW) sum = vmadd(vload(a + i), vload(b + i), sum);
  if (i < n) sum = vmadd(vload_part(a + i, n - i), vload_part(b + i, n - i), sum);
  return vsum(sum);
}

#include "attention-tiles.h"

/* A segment's heads are divided among the threads; the remaining ones are dealt out one by one. */
static void attention_forward(Ctx *ctx, const AttentionForwardArgs *a) {
  Attention at = ATTENTION(a);
  Index segment = ctx->tid;
  for (Index n0 = 0, n1; n0 < at.N; n0 = n1, segment++) {
    Index last, part = segment % ctx->threads, h0 = at.NH * part / ctx->threads, h1 = at.NH * (part + 1) / ctx->threads;
    n1 = segment_end(&at, n0, &last);
    if (h0 == h1) continue;
    if (a->path == PATH_STREAMED || (a->path == PATH_AUTO && n1 - n0 <= FEW)) attend_few(ctx, &at, a, n0, n1, last, h0, h1);
    else
      for (Index head = h0; head < h1; head++) {
#if TILES
        if (a->bf16) {
          attend_segment_tiles(ctx, &at, a, n0, n1, last, head);
          continue;
        }
#endif
        attend_segment(ctx, &at, a, n0, n1, last, head);
      }
  }
}

/*
 * For a block of queries, with P the (dropped) attention weights, recomputed from lse:
 *   dV += Pᵀ dO;  dP = dO Vᵀ (masked like P);  dS = P ⊙ (dP - rowsum(dO ⊙ O)) scale;  dQ = dS K;  dK += dSᵀ Q.
 */
static void attention_segment_backward(Ctx *ctx, const Attention *at, const AttentionBackwardArgs *a, Index n0, Index n1, Index last,
                                       Index head) {
  Index HS = at->HS, NH = at->NH, C = NH * HS, ldq = at->ldq, ld = at->ldkv, k0 = at->first[n0], keys = last + 1 - k0, h = head * HS;
  const float *dout = a->dout + h, *out = a->out + h, *lse = a->lse;
  const float *q = a->q + h, *k = a->k + k0 * ld + h, *v = a->v + k0 * ld + h;
  float *dq = a->dq + h, *dk = a->dk + k0 * ld + h, *dv = a->dv + k0 * ld + h;
  const int bf16 = a->bf16, step = STEP(bf16);
  const Index hs = (HS + step - 1) / step, ks = (keys + step - 1) / step; /* steps of products over a head, and over keys */
  Index kp = ROUND_UP(keys, NR), hp = ROUND_UP(HS, NR), km = ROUND_UP(keys, MR);
  size_t floats = 2 * kp * HS + 3 * keys * hp + 2 * BQ * kp + 2 * BQ * HS + BQ * keys + km * BQ + 2 * BQ * hp + 8 * VW;
  float *kt = scratch_bytes(ctx, floats * sizeof(float));
  if (!kt) return;
  float *vt = kt + kp * HS, *kb = vt + kp * HS, *dkt = kb + keys * hp, *dvt = dkt + keys * hp;
  float *s = dvt + keys * hp, *ds = s + BQ * kp;
  float *qa = ds + BQ * kp, *da = qa + BQ * HS + VW, *pa = da + BQ * HS + VW; /* A panels: Q, dO, dS */
  float *ta = pa + BQ * keys + VW, *qb = ta + km * BQ + VW, *db = qb + BQ * hp; /* A panels of a transpose; B panels: Q, dO */
  pack_b(bf16, kt, k, 1, ld, HS, keys);
  pack_b(bf16, vt, v, 1, ld, HS, keys);
  pack_b(bf16, kb, k, ld, 1, keys, HS);
  memset(dkt, 0, (size_t)keys * hp * 2 * sizeof(float));
  float keep = 1.0f / (1.0f - at->p);
  for (Index n = n0; n < n1; n += BQ) {
    Index bq = n1 - n < BQ ? n1 - n : BQ, end = 0, begin, common;
    block_start(at, n, bq, k0, NR, &begin, &common);
    for (Index i = 0; i < bq; i++)
      if (at->last[n + i] + 1 - k0 > end) end = at->last[n + i] + 1 - k0;
    const Index bs = (bq + step - 1) / step; /* steps of products over the block's queries */
    Index seen = end - begin; /* keys of the block, from `begin` on */
    pack_a(bf16, qa, q + n * ldq, ldq, 1, bq, HS);
    pack_a(bf16, da, dout + n * C, C, 1, bq, HS);
    pack_b(bf16, qb, q + n * ldq, ldq, 1, bq, HS);
    pack_b(bf16, db, dout + n * C, C, 1, bq, HS);
    gemm_packed(bf16, bq, seen, hs, qa, kt + begin * hs, s, kp, 0, 0, NULL, 0, 0, NULL);
    gemm_packed(bf16, bq, seen, hs, da, vt + begin * hs, ds, kp, 0, 0, NULL, 0, 0, NULL);
    for (Index i = 0; i < bq; i++) {
      Index before = at->first[n + i] - k0 - begin, mine = at->last[n + i] + 1 - k0 - begin, j;
      float *si = s + i * kp, *di = ds + i * kp;
      const float *oi = out + (n + i) * C, *gi = dout + (n + i) * C;
      const float delta = dot(HS, oi, gi), l = lse[(n + i) * NH + head];
      for (j = 0; j < before; j++) si[j] = -1e30f, di[j] = 0;
      for (j = mine; j < ROUND_UP(seen, VW); j++) si[j] = -1e30f, di[j] = 0;
      if (at->p > 0) {
        uint32_t row_key = mix32(at->key1 + (uint32_t)((n + i) * NH + head));
        for (j = 0; j < seen; j += VW) {
          vf p = vexp(vload(si + j) * at->scale - l);
          for (Index u = 0; u < VW; u++) {
            float mask = random_bits(at->key0, row_key, (uint32_t)(j + u - before)) >= at->threshold ? keep : 0.0f;
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
    pack_a(bf16, pa, ds, kp, 1, bq, seen);
    for (Index j = 0; j < HS; j += NR)
      gemm_packed(bf16, bq, HS - j < NR ? HS - j : NR, (seen + step - 1) / step, pa, kb + j * ks + begin / step * NR, dq + n * ldq + j, ldq, 0, 0, NULL, 0, 0, NULL);
    pack_a(bf16, ta, ds, 1, kp, seen, bq);
    gemm_packed(bf16, seen, HS, bs, ta, qb, dkt + begin * hp, hp, 1, 0, NULL, 0, 0, NULL);
    pack_a(bf16, ta, s, 1, kp, seen, bq);
    gemm_packed(bf16, seen, HS, bs, ta, db, dvt + begin * hp, hp, 1, 0, NULL, 0, 0, NULL);
  }
  for (Index j = 0; j < keys; j++) {
    memcpy(dk + j * ld, dkt + j * hp, (size_t)HS * sizeof(float));
    memcpy(dv + j * ld, dvt + j * hp, (size_t)HS * sizeof(float));
  }
}

/* Key rows that no token sees have no gradient. */
static void zero_unseen(const Attention *at, const AttentionBackwardArgs *a, Index from, Index to, Index head) {
  float *dk = a->dk + head * at->HS, *dv = a->dv + head * at->HS;
  for (Index j = from; j < to; j++) {
    memset(dk + j * at->ldkv, 0, (size_t)at->HS * sizeof(float));
    memset(dv + j * at->ldkv, 0, (size_t)at->HS * sizeof(float));
  }
}

static void attention_backward(Ctx *ctx, const AttentionBackwardArgs *a) {
  Attention at = ATTENTION(a);
  Index unit = 0, seen = 0;
  for (Index n0 = 0, n1; n0 < at.N; n0 = n1) {
    Index last;
    n1 = segment_end(&at, n0, &last);
    for (Index head = 0; head < at.NH; head++, unit++) {
      if (unit % ctx->threads != ctx->tid) continue;
      zero_unseen(&at, a, seen, at.first[n0], head);
#if TILES
      if (a->bf16) {
        attention_segment_backward_tiles(ctx, &at, a, n0, n1, last, head);
        continue;
      }
#endif
      attention_segment_backward(ctx, &at, a, n0, n1, last, head);
    }
    seen = last + 1;
  }
  for (Index head = 0; head < at.NH; head++)
    if (head % ctx->threads == ctx->tid) zero_unseen(&at, a, seen, at.N, head);
}
