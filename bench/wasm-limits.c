/*
 * WebAssembly's limits on this machine: multiply-adds of 128-bit vectors in registers, and reading memory in
 * order. wasm-limits.ts compiles it with and without relaxed SIMD.
 */
typedef float vf __attribute__((vector_size(16)));

#define EXPORT(name) __attribute__((export_name(#name)))
#define UNROLL _Pragma("clang loop unroll(full)")
/* Independent sums: enough to cover latency times ports, few enough to stay in registers. */
#define SUMS 12

static inline vf madd(vf a, vf b, vf c) {
#if defined(__wasm_relaxed_simd__)
  return __builtin_wasm_relaxed_madd_f32x4(a, b, c);
#else
  return a * b + c;
#endif
}

/* `rounds` rounds of multiply-adds that tend to 100 term; factor 0.99. Returns the floating-point operations done. */
EXPORT(fma) double fma_rounds(int rounds, float factor, float term, float *sink) {
  const vf x = factor - (vf){0}, y = term - (vf){0};
  vf sum[SUMS];
  UNROLL for (int i = 0; i < SUMS; i++) sum[i] = y * (float)i;
  for (int r = 0; r < rounds; r++) {
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = madd(sum[i], x, y);
  }
  UNROLL for (int i = 1; i < SUMS; i++) sum[0] += sum[i];
  *sink = sum[0][0];
  return 2.0 * 4 * SUMS * rounds;
}

/* Adds up n floats, a multiple of 32, from an aligned address; returns the bytes read. */
EXPORT(read) double read_through(const float *data, unsigned n, float *sink) {
  const vf *v = (const vf *)data;
  vf sum[8] = {{0}};
  for (unsigned i = 0; i < n / 4; i += 8) {
    UNROLL for (int j = 0; j < 8; j++) sum[j] += v[i + j];
  }
  UNROLL for (int j = 1; j < 8; j++) sum[0] += sum[j];
  *sink = sum[0][0];
  return 4.0 * n;
}
