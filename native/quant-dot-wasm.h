/*
 * quant-dot.h for WebAssembly. Blocks are read twice: first for their scales, four at a time, then for their
 * integers. V8's compiler up to Node 22 loads all operands of a loop's body before it computes, and has 15 registers for
 * them: one block of one or two rows.
 */
#ifndef GPT2_QUANT_DOT_WASM_H
#define GPT2_QUANT_DOT_WASM_H

#include "quant.h"

typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef int16_t i16x8 __attribute__((vector_size(16)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef i8x16 i8x16_memory __attribute__((aligned(1), may_alias));
typedef int8_t i8x8_memory __attribute__((vector_size(8), aligned(1), may_alias));

/* Hides pointers from clang, which would index by other variables, from which V8 recomputes each address. */
#define OPAQUE(p) __asm__("" : "+r"(p))

/* Four sums of neighbours' products. */
#define DOT_16(a, b) __builtin_wasm_dot_s_i32x4_i16x8(a, b)
#define ADD_PAIRS_8(v) __builtin_wasm_extadd_pairwise_i8x16_s_i16x8(v)
#define ADD_PAIRS_16(v) __builtin_wasm_extadd_pairwise_i16x8_s_i32x4(v)
#define NARROW_16(a, b) __builtin_wasm_narrow_s_i16x8_i32x4(a, b)
#define NARROW_8(a, b) __builtin_wasm_narrow_s_i8x16_i16x8(a, b)

/* ---- Products of integers ---- */

/*
 * A block of one token's activations a. `start` is the initial value of the sums of products: it compensates for weights that
 * are multiplied as larger or smaller values.
 */
#if defined(__wasm_relaxed_simd__)

/*
 * The instruction multiplies signed bytes with bytes of 7 bits. q8_0: w a = (w ^ flip) |a| + |a| where a < 0, as there
 * flip is -1 and w ^ -1 = -w - 1; a pair of products is at most 2 * 128 * 127, even for w = -128. q4_0, n being the 4
 * bits: (n - 8) a = n a - 8 a. The instruction that adds such pairs as well is one of the processor's in V8 from Node
 * 24 on, but five before.
 */
typedef struct {
  i8x16 q[2]; /* |a|; of q4_0, a */
  i8x16 flip[2];
  vi start;
} TokenBlock;

#define DOT_8(signed, unsigned) __builtin_wasm_relaxed_dot_i8x16_i7x16_s_i16x8(signed, unsigned)

INLINE vi add_pairs(i16x8 v) { return DOT_16(v, ((i16x8){1, 1, 1, 1, 1, 1, 1, 1})); }

INLINE vi dot_block(int type, const void *block, const TokenBlock *x) {
  if (type == Q8_0) {
    const i8x16_memory *w = (const void *)((const BlockQ8 *)block)->q;
    vi sum = x->start + add_pairs(DOT_8(w[0] ^ x->flip[0], x->q[0]));
    return sum + add_pairs(DOT_8(w[1] ^ x->flip[1], x->q[1]));
  }
  i8x16 w = *(const i8x16_memory *)((const BlockQ4 *)block)->q;
  i8x16 low = w & 15, high = (i8x16)((u16x8)w >> 4) & 15;
  return x->start + add_pairs(DOT_8(x->q[0], low) + DOT_8(x->q[1], high));
}

INLINE void store_block(int type, const i16x8 a[4], TokenBlock *to) {
  i8x16 q[2] = {NARROW_8(a[0], a[1]), NARROW_8(a[2], a[3])};
  i16x8 sum = {0};
  UNROLL for (int i = 0; i < 2; i++) {
    i8x16 flip = q[i] >> 7;
    if (type == Q8_0) q[i] = (q[i] ^ flip) - flip;
    to->q[i] = q[i], to->flip[i] = flip;
    sum += ADD_PAIRS_8(type == Q8_0 ? q[i] & flip : q[i]);
  }
  to->start = ADD_PAIRS_16(sum) * (type == Q8_0 ? 1 : -8);
}

#else

/*
 * Products of 16 bits. q4_0: each 16 bits of weights hold four, taken out where they are; activations are in the order
 * that results: of even bytes and of odd ones, low halves and then high ones.
 */
typedef struct {
  i16x8 q[4];
  vi start;
} TokenBlock;

INLINE vi dot_block(int type, const void *block, const TokenBlock *x) {
  i16x8 w[4];
  if (type == Q8_0) {
    const i8x8_memory *bytes = (const void *)((const BlockQ8 *)block)->q;
    UNROLL for (int i = 0; i < 4; i++) w[i] = __builtin_convertvector(bytes[i], i16x8);
  } else {
    u16x8 v = (u16x8)*(const i8x16_memory *)((const BlockQ4 *)block)->q;
    w[0] = (i16x8)(v & 15), w[1] = (i16x8)(v >> 8 & 15), w[2] = (i16x8)(v >> 4 & 15), w[3] = (i16x8)(v >> 12);
  }
  vi first = DOT_16(w[0], x->q[0]) + DOT_16(w[1], x->q[1]), second = DOT_16(w[2], x->q[2]) + DOT_16(w[3], x->q[3]);
  return type == Q8_0 ? first + second : first + x->start + second;
}

INLINE void store_block(int type, const i16x8 a[4], TokenBlock *to) {
  to->start = ADD_PAIRS_16(a[0] + a[1] + a[2] + a[3]) * -8;
  if (type == Q8_0) {
    UNROLL for (int i = 0; i < 4; i++) to->q[i] = a[i];
    return;
  }
  UNROLL for (int i = 0; i < 4; i += 2) {
    to->q[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 2, 4, 6, 8, 10, 12, 14);
    to->q[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 1, 3, 5, 7, 9, 11, 13, 15);
  }
}

#endif

/* ---- Activations ---- */

/* Tokens of `blocks` blocks each. */
typedef struct {
  Index blocks;
  TokenBlock *block;
  float *scale;
} Activations;

INLINE size_t activations_bytes(Index tokens, Index blocks) {
  return (size_t)tokens * blocks * (sizeof(TokenBlock) + sizeof(float)) + sizeof(vf); /* scales are read in fours */
}

/* The rows of x, rounded as by round_activations, written to memory of activations_bytes. */
static __attribute__((noinline, unused)) Activations quantise_activations(int type, const float *x, Index tokens, Index blocks, void *memory) {
  Index n = tokens * blocks;
  Activations a = {.blocks = blocks, .block = memory, .scale = (float *)((TokenBlock *)memory + n)};
  for (Index b = 0; b < n; b++, x += BLOCK) {
    float inverse;
    i16x8 q[4];
    a.scale[b] = activation_scale(x, &inverse);
    UNROLL for (int i = 0; i < 4; i++)
      q[i] = NARROW_16(vround(vload(x + 8 * i) * inverse), vround(vload(x + 8 * i + VW) * inverse));
    if (type == Q8_0) store_block(Q8_0, q, a.block + b);
    else store_block(Q4_0, q, a.block + b);
  }
  return a;
}

/* ---- Rows ---- */

/* Integers do not use dot_all. */
#define INTEGER_TOKENS 1
#define INTEGER_ROWS 1
/* Number of rows whose sums are in registers together. */
#define ROWS 2
/*
 * Blocks whose scales are made at a time. Short rows are taken in pairs, all their scales first: these loads prefetch the
 * whole pair. Longer ones one by one, which streams faster (a pair of 96 blocks takes 1.5 times as long).
 */
#define SCALES 32

INLINE int32_t scale_of(int type, const char *row, Index b) {
  return type == Q8_0 ? ((const BlockQ8 *)row)[b].scale : ((const BlockQ4 *)row)[b].scale;
}

/* The scales of n blocks of a row times those of a token; up to three more are undefined. */
INLINE void multiply_scales(int type, const char *row, Index n, const float *token, float *to) {
  for (; n >= 4; n -= 4) {
    vi h = {scale_of(type, row, 0), scale_of(type, row, 1), scale_of(type, row, 2), scale_of(type, row, 3)};
    vstore(to, halves_to_floats(h) * vload(token));
    row += packed_bytes(type, 4 * BLOCK), token += 4, to += 4;
    OPAQUE(row);
    OPAQUE(token);
    OPAQUE(to);
  }
  if (n > 0) {
    vi h = {scale_of(type, row, 0), n > 1 ? scale_of(type, row, 1) : 0, n > 2 ? scale_of(type, row, 2) : 0};
    vstore(to, halves_to_floats(h) * vload(token));
  }
}

/* Adds to acc the products of n <= SCALES blocks of R rows, `stride` bytes apart, and a token. */
INLINE void add_blocks(int type, int R, const char *w, Index stride, Index n, const TokenBlock *x, const float *token, vf *acc) {
  float scales[ROWS][SCALES + VW];
  const char *row[ROWS];
  UNROLL for (int r = 0; r < R; r++) {
    row[r] = w + r * stride;
    multiply_scales(type, row[r], n, token, scales[r]);
  }
  const float(*scale)[SCALES + VW] = scales;
  for (const TokenBlock *end = x + n; x < end;) {
    UNROLL for (int r = 0; r < R; r++) {
      acc[r] = vmadd(__builtin_convertvector(dot_block(type, row[r], x), vf), vset(scale[r][0]), acc[r]);
      row[r] += packed_bytes(type, BLOCK);
      OPAQUE(row[r]);
    }
    x++, scale = (const void *)(*scale + 1);
    OPAQUE(x);
    OPAQUE(scale);
  }
}

INLINE void dot_row_blocks(int type, int R, const char *w, const Activations *a, Index t, float *out, Index ld) {
  const Index stride = packed_bytes(type, a->blocks * BLOCK);
  const TokenBlock *x = a->block + t * a->blocks;
  const float *token = a->scale + t * a->blocks;
  vf acc[ROWS] = {{0}};
  for (Index left = a->blocks; left > 0; left -= SCALES) {
    add_blocks(type, R, w, stride, left < SCALES ? left : SCALES, x, token, acc);
    w += packed_bytes(type, SCALES * BLOCK), x += SCALES, token += SCALES;
  }
  UNROLL for (int r = 0; r < R; r++) out[r * ld] = vsum(acc[r]);
}

/*
 * Dot products of weight rows with `tokens` tokens from `from` on, to out[row * ld + token]. The order of the sums does not depend on the
 * number of rows and tokens. In separate functions, whose loops have all the registers.
 */
#define DOT_BLOCKS(name, type)                                                                                         \
  static __attribute__((noinline)) void name(const char *w, Index rows, const Activations *a, Index from, Index tokens, float *out, Index ld) { \
    const Index stride = packed_bytes(type, a->blocks * BLOCK);                                                         \
    for (; rows >= ROWS && a->blocks <= SCALES; rows -= ROWS, w += ROWS * stride, out += ROWS * ld)                    \
      for (Index t = 0; t < tokens; t++) dot_row_blocks(type, ROWS, w, a, from + t, out + t, ld);                       \
    for (; rows > 0; rows--, w += stride, out += ld)                                                                   \
      for (Index t = 0; t < tokens; t++) dot_row_blocks(type, 1, w, a, from + t, out + t, ld);                          \
  }
DOT_BLOCKS(dot_blocks_q8, Q8_0)
DOT_BLOCKS(dot_blocks_q4, Q4_0)
#undef DOT_BLOCKS

#endif
