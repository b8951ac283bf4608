/*
 * Converts weights from a file's dtype and layout to those used in memory: another dtype (src/dtype), or transposed (Hugging
 * Face's Conv1D). Each value passes through single precision. Encoding gives the same bytes as src/dtype.
 */
#include "half.h"
#include "op.h"
#include "vec.h"

#define BLOCK 32
#define Q8_0_BYTES 34
#define Q4_0_BYTES 18

/* A tile of the result: BAND rows, STRIP values of each at a time, so that it stays in the second-level cache. */
#define BAND 32
#define STRIP 256

/* Keeps the compiler from fusing the preceding product with the next operation: files have the same bits on every processor. */
#define ROUND_HERE __asm__ volatile("" ::: "memory")

/* Numbers in a file may be unaligned. */
typedef float f32_memory __attribute__((aligned(1), may_alias));
typedef uint16_t u16_memory __attribute__((aligned(1), may_alias));

static size_t bytes_of(int64_t type, Index n) {
  switch (type) {
  case Q8_0: return (size_t)(n / BLOCK * Q8_0_BYTES);
  case Q4_0: return (size_t)(n / BLOCK * Q4_0_BYTES);
  case F16:
  case BF16: return (size_t)n * 2;
  default: return (size_t)n * 4;
  }
}

/* For finite values; NaN and infinity are found beforehand. */
INLINE float f16_to_f32(uint16_t half) {
  uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
  /* The exponent's bias is 112 greater; a subnormal is placed above 2^-14, which is then subtracted. */
  float normal = float_of(magnitude + (112u << 23)), subnormal = float_of(magnitude + (113u << 23)) - 0x1p-14f;
  uint32_t bits = magnitude < (1u << 23) ? bits_of(subnormal) : bits_of(normal);
  return float_of(bits | (uint32_t)(half & 0x8000) << 16);
}

/* Whether all n values are finite; a block's values are if its scale is. */
static int finite_f32(const f32_memory *x, Index n) {
  uint32_t largest = 0;
  for (Index i = 0; i < n; i++) {
    uint32_t magnitude = bits_of(x[i]) & 0x7fffffffu;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest < F32_INFINITY;
}

static int finite_16(const u16_memory *x, Index n, uint16_t infinity) {
  uint16_t largest = 0;
  for (Index i = 0; i < n; i++) {
    uint16_t magnitude = x[i] & 0x7fff;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest < infinity;
}

static int finite_scales(const uint8_t *x, Index blocks, Index bytes) {
  int finite = 1;
  for (Index b = 0; b < blocks; b++) finite &= (x[b * bytes + 1] & 0x7c) != 0x7c;
  return finite;
}

static int all_finite(int64_t type, const void *x, Index n) {
  switch (type) {
  case F32: return finite_f32(x, n);
  case F16: return finite_16(x, n, F16_INFINITY);
  case BF16: return finite_16(x, n, F32_INFINITY >> 16);
  case Q8_0: return finite_scales(x, n / BLOCK, Q8_0_BYTES);
  default: return finite_scales(x, n / BLOCK, Q4_0_BYTES);
  }
}

static float read_scale(const uint8_t *p) {
  uint16_t half;
  memcpy(&half, p, sizeof half);
  return f16_to_f32(half);
}

static void write_scale(uint8_t *p, float scale) {
  uint16_t half = f32_to_f16(scale);
  memcpy(p, &half, sizeof half);
}

/* n values, whole blocks. */
static void decode(int64_t type, const void *from, float *x, Index n) {
  const u16_memory *halves = from;
  const uint8_t *p = from;
  switch (type) {
  case F32: memcpy(x, from, (size_t)n * sizeof *x); return;
  case F16:
    for (Index i = 0; i < n; i++) x[i] = f16_to_f32(halves[i]);
    return;
  case BF16:
    for (Index i = 0; i < n; i++) x[i] = float_of((uint32_t)halves[i] << 16);
    return;
  case Q8_0:
    for (; n > 0; n -= BLOCK, x += BLOCK, p += Q8_0_BYTES) {
      float scale = read_scale(p);
      for (int i = 0; i < BLOCK; i++) x[i] = scale * (float)(int8_t)p[2 + i];
    }
    return;
  default:
    for (; n > 0; n -= BLOCK, x += BLOCK, p += Q4_0_BYTES) {
      float scale = read_scale(p);
      for (int i = 0; i < BLOCK / 2; i++) {
        x[i] = scale * (float)((p[2 + i] & 15) - 8);
        x[i + BLOCK / 2] = scale * (float)((p[2 + i] >> 4) - 8);
      }
    }
  }
}

/* The largest magnitude of a block, found on the bits, whose order is the same, so that compilers vectorize it. */
INLINE uint32_t largest_magnitude(const float *x) {
  uint32_t largest = 0;
  for (int i = 0; i < BLOCK; i++) {
    uint32_t magnitude = bits_of(x[i]) & 0x7fffffffu;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

/* See encodeQ8_0 in src/dtype/blocks.ts. */
static void encode_q8_0(const float *x, uint8_t *p) {
  float largest = float_of(largest_magnitude(x)), scaled[BLOCK];
  float scale = largest / 127, inverse = scale == 0 ? 0 : 1 / scale;
  write_scale(p, scale);
  for (int i = 0; i < BLOCK; i++) scaled[i] = x[i] * inverse;
  ROUND_HERE;
  for (int i = 0; i < BLOCK; i++) {
    /* C's roundf, halves away from zero, in steps that are all exact. */
    int whole = (int)scaled[i];
    float rest = scaled[i] - (float)whole;
    p[2 + i] = (uint8_t)(int8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
  }
}

/* See encodeQ4_0 in src/dtype/blocks.ts. */
static void encode_q4_0(const float *x, uint8_t *p) {
  uint32_t largest = largest_magnitude(x), first = BLOCK - 1;
  for (uint32_t i = 0; i < BLOCK; i++) {
    uint32_t at = (bits_of(x[i]) & 0x7fffffffu) == largest ? i : BLOCK - 1;
    first = at < first ? at : first;
  }
  float extreme = largest == 0 ? 0 : x[first], scaled[BLOCK], scale = extreme / -8, inverse = scale == 0 ? 0 : 1 / scale;
  write_scale(p, scale);
  for (int i = 0; i < BLOCK; i++) scaled[i] = x[i] * inverse;
  ROUND_HERE;
  uint8_t level[BLOCK];
  for (int i = 0; i < BLOCK; i++) {
    int whole = (int)(scaled[i] + 8.5f);
    level[i] = (uint8_t)(whole > 15 ? 15 : whole);
  }
  for (int i = 0; i < BLOCK / 2; i++) p[2 + i] = (uint8_t)(level[i] | level[i + BLOCK / 2] << 4);
}

/* Encodes n values, whole blocks. Returns whether they are in the dtype's range. */
static int encode(int64_t type, const float *x, void *to, Index n) {
  u16_memory *halves = to;
  uint8_t *p = to;
  switch (type) {
  case F32: memcpy(to, x, (size_t)n * sizeof *x); return 1;
  case F16:
    for (Index i = 0; i < n; i++) halves[i] = f32_to_f16(x[i]);
    break;
  case BF16:
    for (Index i = 0; i < n; i++) {
      uint32_t bits = bits_of(x[i]);
      halves[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    break;
  case Q8_0:
    for (Index i = 0; i < n; i += BLOCK, p += Q8_0_BYTES) encode_q8_0(x + i, p);
    break;
  default:
    for (Index i = 0; i < n; i += BLOCK, p += Q4_0_BYTES) encode_q4_0(x + i, p);
  }
  return all_finite(type, to, n);
}

/*
 * A band of a file's [cols, rows], transposed: rows row to row + height of the result, values col to col + width of each.
 * Returns whether all values are finite.
 */
static int gather_band(const ConvertJob *job, Index row, Index height, Index col, Index width, float (*band)[STRIP]) {
  float part[VW][BAND];
  int good = 1;
  memset(part, 0, sizeof part);
  for (Index k = 0; k < width; k += VW) {
    Index deep = width - k < VW ? width - k : VW;
    for (Index i = 0; i < deep; i++) {
      const uint8_t *from = (const uint8_t *)job->src + bytes_of(job->src_type, (col + k + i) * job->rows + row);
      good &= all_finite(job->src_type, from, height);
      decode(job->src_type, from, part[i], height);
    }
    for (Index r = 0; r < height; r += VW) {
      vf tile[VW];
      UNROLL for (int i = 0; i < VW; i++) tile[i] = vload(&part[i][r]);
      vtranspose(tile);
      UNROLL for (int i = 0; i < VW; i++) vstore(&band[r + i][k], tile[i]);
    }
  }
  return good;
}

static int convert_transposed(const ConvertJob *job) {
  float band[BAND][STRIP];
  int fits = 1;
  for (Index row = job->from; row < job->to; row += BAND) {
    Index height = job->to - row < BAND ? job->to - row : BAND;
    for (Index col = 0; col < job->cols; col += STRIP) {
      Index width = job->cols - col < STRIP ? job->cols - col : STRIP;
      if (!gather_band(job, row, height, col, width, band)) return CONVERT_NOT_FINITE;
      for (Index r = 0; r < height; r++) {
        uint8_t *to = (uint8_t *)job->dst + bytes_of(job->dst_type, (row + r) * job->cols + col);
        fits &= encode(job->dst_type, band[r], to, width);
      }
    }
  }
  return fits ? CONVERT_DONE : CONVERT_TOO_LARGE;
}

static int convert_straight(const ConvertJob *job) {
  float x[STRIP];
  int fits = 1;
  Index end = job->to * job->cols;
  for (Index at = job->from * job->cols; at < end; at += STRIP) {
    Index n = end - at < STRIP ? end - at : STRIP;
    const uint8_t *from = (const uint8_t *)job->src + bytes_of(job->src_type, at);
    if (!all_finite(job->src_type, from, n)) return CONVERT_NOT_FINITE;
    if (!job->dst) continue;
    void *to = (uint8_t *)job->dst + bytes_of(job->dst_type, at);
    if (job->src_type == job->dst_type) {
      memcpy(to, from, bytes_of(job->src_type, n));
      continue;
    }
    decode(job->src_type, from, x, n);
    fits &= encode(job->dst_type, x, to, n);
  }
  return fits ? CONVERT_DONE : CONVERT_TOO_LARGE;
}

static int32_t convert(const ConvertJob *job) {
  return job->transposed ? convert_transposed(job) : convert_straight(job);
}
