/* Counter-based random bits: the same as src/util/random.ts, bit for bit. */
#ifndef GPT2_RANDOM_H
#define GPT2_RANDOM_H

#include <stdint.h>

static inline uint32_t mix32(uint32_t x) {
  x ^= x >> 16;
  x *= 0x21f0aaadu;
  x ^= x >> 15;
  x *= 0x735a2d97u;
  return x ^ (x >> 15);
}

static inline uint32_t random_bits(uint32_t k0, uint32_t k1, uint32_t index) {
  return mix32(mix32(index ^ k0) + k1);
}

/* An element is dropped when its bits are below this. */
static inline uint32_t drop_threshold(double p) { return (uint32_t)(p * 4294967296.0); }

#endif
