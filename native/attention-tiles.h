/*
 * Attention of many queries on tile registers, in bf16. Scores are always keys x queries, one column for each of NR queries, so that
 * the values of a query are in the same lane of every row, and softmax needs no sums across a vector. Such a block can be used as
 * either factor without repacking: its rows, rounded, are rows of A; neighbouring rows, interleaved, are pairs of B.
 */
#if TILES

/* Panels of A: rows of `count` keys' heads, whole blocks of rows; rows past the last are zero. */
static void pack_head_rows(uint16_t *dst, const float *rows, Index ld, Index count, Index HS) {
  const Index hs = ROUND_UP(HS, TILE_K);
  for (Index j = 0; j < count; j += BLOCK_ROWS) {
    const Index m = count - j < BLOCK_ROWS ? count - j : BLOCK_ROWS;
    if (m < BLOCK_ROWS) memset(dst + j * hs, 0, (size_t)(BLOCK_ROWS * hs) * sizeof *dst);
    pack_tile_rows(dst + j * hs, rows + j * ld, ld, m, HS);
  }
}

/* Panels of A: a head's columns, each along the keys. */
static void pack_head_columns(uint16_t *dst, const float *rows, Index ld, Index count, Index HS) {
  pack_tile_columns(dst, rows, ld, HS, count, NULL);
}

/* A panel of B: `count` rows of a head, as columns. */
static void pack_queries(float *dst, const float *rows, Index ld, Index count, Index HS) {
  pack_tiles_b(dst, &(Operand){.data = rows, .rs = 1, .cs = ld, .type = F32}, 0, 0, HS, count, NULL);
}

/* Sums for each of a head's columns: to [HS][NR] = columns (pack_head_columns of km keys) from key `begin` on * weights. */
static void weigh_columns(const uint16_t *columns, Index km, Index begin, Index keys, Index HS, const float *weights, float *to) {
  const Index steps = ROUND_UP(keys - begin, TILE_K) / TILE_K;
  for (Index d = 0; d < HS; d += BLOCK_ROWS)
    multiply_block(HS - d, NR, steps, columns + d * km + begin * BLOCK_ROWS, weights, NULL, 0, to + d * NR, NR);
}

/* The key ranges of `count` queries from n on, counted from row k0; empty for columns without a query. Returns the number of keys that some query sees. */
static Index see_keys(const Attention *at, Index n, Index count, Index k0, vi first[NV], vi last[NV], Index *all) {
  int32_t starts[NR], ends[NR];
  Index seen = 0;
  *all = count < NR ? 0 : PTRDIFF_MAX;
  for (Index i = 0; i < NR; i++) {
    starts[i] = i < count ? (int32_t)(at->first[n + i] - k0) : 0;
    ends[i] = i < count ? (int32_t)(at->last[n + i] - k0) : -1;
    if (ends[i] + 1 > seen) seen = ends[i] + 1;
    if (ends[i] + 1 < *all) *all = ends[i] + 1;
  }
  memcpy(first, starts, sizeof starts);
  memcpy(last, ends, sizeof ends);
  return seen;
}

static void attend_segment_tiles(Ctx *ctx, const Attention *at, const AttentionForwardArgs *a, Index n0, Index n1, Index last, Index head) {
  const Index HS = at->HS, NH = at->NH, C = NH * HS, k0 = at->first[n0], keys = last + 1 - k0;
  const Index hs = ROUND_UP(HS, TILE_K), km = ROUND_UP(keys, TILE_K), decoded = a->k.type == F32 ? 0 : ROUND_UP(keys * HS, VW);
  const float *q = a->q + head * HS;
  float *out = a->out + head * HS, *lse = a->lse;
  float *scores = scratch_bytes(ctx, (size_t)(km * hs + (km + hs / 2 + hs) * NR + decoded) * sizeof(float));
  if (!scores) return;
  float *qp = scores + km * NR, *sums = qp + hs / 2 * NR, *temp = sums + hs * NR;
  uint16_t *kp = (uint16_t *)(temp + decoded), *vp = kp + km * hs;
  Index ld;
  const float *k = head_rows(a->k, k0, keys, head, at, temp, &ld);
  pack_head_rows(kp, k, ld, keys, HS);
  const float *v = head_rows(a->v, k0, keys, head, at, temp, &ld);
  pack_head_columns(vp, v, ld, keys, HS);
  tiles_begin();
  for (Index n = n0; n < n1; n += NR) {
    Index bq = n1 - n < NR ? n1 - n : NR, begin, common, all;
    block_start(at, n, bq, k0, BLOCK_ROWS, &begin, &common);
    Columns c;
    const Index seen = see_keys(at, n, bq, k0, c.first, c.last, &all), rest = ROUND_UP(seen, TILE_K) - seen;
    pack_queries(qp, q + n * at->ldq, at->ldq, bq, HS);
    for (Index j = begin; j < seen; j += BLOCK_ROWS) multiply_block(BLOCK_ROWS, NR, hs / TILE_K, kp + j * hs, qp, NULL, 0, scores + j * NR, NR);
    softmax_columns(scores, begin, seen, common, all, at->scale, &c);
    if (lse) {
      float max[NR], sum[NR];
      memcpy(max, c.max, sizeof max), memcpy(sum, c.sum, sizeof sum);
      for (Index i = 0; i < bq; i++) lse[(n + i) * NH + head] = max[i] * at->scale + __builtin_logf(sum[i]);
    }
    if (at->p > 0) drop_columns(at, scores, n, bq, k0, head, begin, seen);
    memset(scores + seen * NR, 0, (size_t)(rest * NR) * sizeof(float));
    round_weights(scores, begin, seen + rest);
    weigh_columns(vp, km, begin, seen, HS, scores + begin * NR, sums);
    store_columns(sums, HS, &c, bq, out + n * C, C);
  }
  tiles_end();
}

/* ---- Backward ---- */

/* Panels of queries whose gradients are summed together: a row of A holds one value for each, so sums are longer and C is stored less often. */
#define PANELS 2

/* A panel of queries: the values of each query, in its column. */
typedef struct {
  vf lse[NV], delta[NV];
  vi first[NV], last[NV];
  Index begin, seen, common, all; /* as in attend_segment_tiles */
  uint32_t row_key[NR];
  int32_t start[NR];
} Panel;

/* A block's results: weights and gradients of scores as rows of A, [PANELS][2][16][32], and the latter also as pairs of B. */
typedef struct {
  uint16_t *p, *ds;
  float *pairs;
} WeightBlock;

static void load_panel(const Attention *at, const AttentionBackwardArgs *a, Index n, Index count, Index k0, Index head, Panel *panel) {
  const Index C = at->NH * at->HS, h = head * at->HS;
  float lse[NR] = {0}, delta[NR] = {0};
  for (Index i = 0; i < count; i++) {
    lse[i] = a->lse[(n + i) * at->NH + head];
    delta[i] = dot(at->HS, a->out + (n + i) * C + h, a->dout + (n + i) * C + h);
    panel->row_key[i] = mix32(at->key1 + (uint32_t)((n + i) * at->NH + head));
    panel->start[i] = (int32_t)(at->first[n + i] - k0);
  }
  for (Index i = count; i < NR; i++) panel->row_key[i] = 0, panel->start[i] = 0;
  memcpy(panel->lse, lse, sizeof lse);
  memcpy(panel->delta, delta, sizeof delta);
  block_start(at, n, count, k0, BLOCK_ROWS, &panel->begin, &panel->common);
  panel->seen = see_keys(at, n, count, k0, panel->first, panel->last, &panel->all);
}

/* The dropout factor of a weight: 0 if it is dropped, else 1 / (1 - p). */
static void dropout_mask(const Attention *at, const Panel *panel, Index key, float mask[NR]) {
  const float keep = 1.0f / (1.0f - at->p);
  for (int i = 0; i < NR; i++)
    mask[i] = random_bits(at->key0, panel->row_key[i], (uint32_t)((int32_t)key - panel->start[i])) >= at->threshold ? keep : 0.0f;
}

/* Weights and their gradients from the scores of one key, and both interleaved with those of the next key as pairs. */
INLINE void weights_of_key(const Attention *at, const Panel *panel, Index key, int edge, int drop, const float *s, const float *dp, vf p[NV],
                           vf ds[NV]) {
  float mask[NR];
  if (drop) dropout_mask(at, panel, key, mask);
  UNROLL for (int v = 0; v < NV; v++) {
    vf w = vexp(vload(s + v * VW) * at->scale - panel->lse[v]), g = vload(dp + v * VW);
    if (edge) w = vselect((vi)((key_index(key) > panel->last[v]) | (key_index(key) < panel->first[v])), (vf){0}, w);
    p[v] = drop ? w * vload(mask + v * VW) : w;
    if (drop) g *= vload(mask + v * VW);
    ds[v] = w * (g - panel->delta[v]) * at->scale;
  }
}

INLINE void weights_of_block(const Attention *at, const Panel *panel, Index key, int edge, int drop, const float *s, const float *dp,
                             const WeightBlock *to) {
  for (Index j = 0; j < BLOCK_ROWS; j += 2) {
    vf p[2][NV], ds[2][NV];
    UNROLL for (int u = 0; u < 2; u++) {
      weights_of_key(at, panel, key + j + u, edge, drop, s + (j + u) * NR, dp + (j + u) * NR, p[u], ds[u]);
      vstore((float *)(to->p + (j + u) * TILE_K), vjoin_pairs(p[u][0], p[u][1]));
      vstore((float *)(to->ds + (j + u) * TILE_K), vjoin_pairs(ds[u][0], ds[u][1]));
    }
    UNROLL for (int v = 0; v < NV; v++) vstore(to->pairs + j / 2 * NR + v * VW, vpair(ds[0][v], ds[1][v]));
  }
}

/* For keys [key, key + 32) and a panel's queries. s, dp: their scores, and the gradients of their weights. */
static void weight_block(const Attention *at, const Panel *panel, Index key, const float *s, const float *dp, const WeightBlock *to) {
  const int edge = key < panel->common || key + BLOCK_ROWS > panel->all;
  if (at->p > 0) weights_of_block(at, panel, key, 1, 1, s, dp, to);
  else if (edge) weights_of_block(at, panel, key, 1, 0, s, dp, to);
  else weights_of_block(at, panel, key, 0, 0, s, dp, to);
}

/* attention_segment_backward on tiles. */
static void attention_segment_backward_tiles(Ctx *ctx, const Attention *at, const AttentionBackwardArgs *a, Index n0, Index n1, Index last,
                                             Index head) {
  const Index HS = at->HS, C = at->NH * HS, ldq = at->ldq, ld = at->ldkv, k0 = at->first[n0], keys = last + 1 - k0, h = head * HS;
  const float *dout = a->dout + h, *q = a->q + h, *k = a->k + k0 * ld + h, *v = a->v + k0 * ld + h;
  float *dq = a->dq + h, *dk = a->dk + k0 * ld + h, *dv = a->dv + k0 * ld + h;
  const Index hs = ROUND_UP(HS, TILE_K), km = ROUND_UP(keys, TILE_K), steps = hs / TILE_K;
  const Index panel_floats = hs / 2 * NR, pair_floats = km / 2 * NR, block = BLOCK_ROWS * NR;
  /* Sums of dK and dV; Q and dO as columns and as pairs of rows; dS as pairs; dQ; scores and dP; P and dS; K and V as rows, K as columns. */
  size_t floats = (size_t)(2 * km * hs + 4 * PANELS * panel_floats + PANELS * pair_floats + hs * NR + 2 * block + PANELS * block + 3 * km * hs / 2);
  float *dkt = scratch_bytes(ctx, floats * sizeof(float));
  if (!dkt) return;
  float *dvt = dkt + km * hs, *qc = dvt + km * hs, *oc = qc + PANELS * panel_floats, *qr = oc + PANELS * panel_floats;
  float *gr = qr + PANELS * panel_floats, *pairs = gr + PANELS * panel_floats, *sums = pairs + PANELS * pair_floats;
  float *s = sums + hs * NR, *dp = s + block;
  uint16_t *p = (uint16_t *)(dp + block), *ds = p + PANELS * block, *kr = ds + PANELS * block, *vr = kr + km * hs, *kc = vr + km * hs;
  pack_head_rows(kr, k, ld, keys, HS);
  pack_head_rows(vr, v, ld, keys, HS);
  pack_head_columns(kc, k, ld, keys, HS);
  memset(dkt, 0, (size_t)(2 * km * hs) * sizeof(float));
  tiles_begin();
  for (Index n = n0; n < n1; n += PANELS * NR) {
    const Index bq = n1 - n < PANELS * NR ? n1 - n : PANELS * NR, panels = (bq + NR - 1) / NR;
    Panel panel[PANELS];
    Index begin = PTRDIFF_MAX, seen = 0;
    for (Index i = 0; i < panels; i++) {
      const Index m = n + i * NR, count = n1 - m < NR ? n1 - m : NR;
      load_panel(at, a, m, count, k0, head, &panel[i]);
      if (panel[i].begin < begin) begin = panel[i].begin;
      if (panel[i].seen > seen) seen = panel[i].seen;
      pack_queries(qc + i * panel_floats, q + m * ldq, ldq, count, HS);
      pack_queries(oc + i * panel_floats, dout + m * C, C, count, HS);
    }
    pack_tiles_b(qr, &(Operand){.data = q + n * ldq, .rs = ldq, .cs = 1, .type = F32}, 0, 0, bq, HS, NULL);
    pack_tiles_b(gr, &(Operand){.data = dout + n * C, .rs = C, .cs = 1, .type = F32}, 0, 0, bq, HS, NULL);
    for (Index j = begin; j < seen; j += BLOCK_ROWS) {
      for (Index i = 0; i < panels; i++) {
        multiply_block(BLOCK_ROWS, NR, steps, kr + j * hs, qc + i * panel_floats, NULL, 0, s, NR);
        multiply_block(BLOCK_ROWS, NR, steps, vr + j * hs, oc + i * panel_floats, NULL, 0, dp, NR);
        weight_block(at, &panel[i], j, s, dp, &(WeightBlock){p + i * block, ds + i * block, pairs + i * pair_floats + j / 2 * NR});
      }
      for (Index d = 0; d < HS; d += NR) {
        float *to = dvt + j * hs + d;
        multiply_block(BLOCK_ROWS, HS - d, panels, p, gr + d * panels * TILE_ROWS, to, hs, to, hs);
        to = dkt + j * hs + d;
        multiply_block(BLOCK_ROWS, HS - d, panels, ds, qr + d * panels * TILE_ROWS, to, hs, to, hs);
      }
    }
    for (Index i = 0; i < panels; i++) {
      const Index m = n + i * NR;
      weigh_columns(kc, km, begin, seen, HS, pairs + i * pair_floats + begin / 2 * NR, sums);
      Columns ones = {.sum = {vset(1), vset(1)}};
      store_columns(sums, HS, &ones, n1 - m < NR ? n1 - m : NR, dq + m * ldq, ldq);
    }
  }
  tiles_end();
  for (Index j = 0; j < keys; j++) {
    memcpy(dk + j * ld, dkt + j * hs, (size_t)HS * sizeof(float));
    memcpy(dv + j * ld, dvt + j * hs, (size_t)HS * sizeof(float));
  }
}

#endif
