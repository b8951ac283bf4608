/* All kernels for one instruction set; compiled once for each, with KERNELS naming the resulting table. */
#define _GNU_SOURCE
#include "activation.c"
#include "adapter.c"
#include "attention.c"
#include "elementwise.c"
#include "embedding.c"
#include "layernorm.c"
#include "linear.c"
#include "loss.c"
#include "optimizer.c"
#include "sampling.c"
#include "kernel-table.h"
#if !defined(__wasm__) /* there TypeScript converts: src/pretrained/weights.ts */
#include "convert.c"
#endif

/* Independent sums: enough to hide the latency, and few enough for the registers. */
#if defined(__wasm__)
#define PEAK_SUMS 12
#else
#define PEAK_SUMS 20
#endif

static double peak(Index rounds) {
  vf acc[PEAK_SUMS];
  volatile float one = 1.0f, tiny = 1e-9f;
  vf x = vset(one), y = vset(tiny);
  for (int i = 0; i < PEAK_SUMS; i++) acc[i] = vset((float)i);
  for (Index n = 0; n < rounds; n++) {
    UNROLL for (int i = 0; i < PEAK_SUMS; i++) acc[i] = vmadd(acc[i], x, y);
  }
  vf sum = {0};
  for (int i = 0; i < PEAK_SUMS; i++) sum += acc[i];
  volatile float sink = vsum(sum);
  (void)sink;
  return (double)rounds * PEAK_SUMS * VW * 2;
}

const KernelSet KERNELS = {
    .name = KERNELS_NAME,
    .kernel = KERNEL_TABLE,
    .peak = peak,
#if !defined(__wasm__)
    .convert = convert,
#endif
};
