/* The flat interface between a Program and the kernels. */
#ifndef GPT2_OP_H
#define GPT2_OP_H

#include <stddef.h>
#include <stdint.h>

/* Sizes and offsets in kernels: as wide as addresses, which `long` is not on Windows. */
typedef ptrdiff_t Index;

#include "ops.h"

/* A pointer in 8 bytes on every platform, so that one encoding also serves 32-bit memories. */
#if UINTPTR_MAX > UINT32_MAX
typedef void *Address;
#else
typedef uint64_t Address;
#endif

/* One recorded operation, written by src/backend/kernels/encode.ts. */
typedef struct {
  Address tensor[MAX_TENSORS];      /* NULL where absent */
  int64_t dim[MAX_DIMS];            /* -1 - i: the i-th size of the run */
  double scalar[MAX_SCALARS];       /* used where scalar_ref is -1 */
  int32_t scalar_ref[MAX_SCALARS];  /* else the index of a number of the run */
  uint16_t kind;                    /* OP_... */
  uint8_t dtype[MAX_TENSORS];
} Op;

_Static_assert(sizeof(Op) == OP_BYTES && offsetof(Op, dtype) == DTYPES_AT, "Op is as src/backend/kernels/op-layout.ts has it");

/* An operation with the sizes and numbers of one run filled in; kernel-table.h gives its parts their names. */
typedef struct {
  void *const *tensor;
  const uint8_t *dtype;
  int64_t dim[MAX_DIMS];
  double scalar[MAX_SCALARS];
} Args;

struct Team;

/* A thread of the team, as seen by the kernels. */
typedef struct {
  struct Team *team;
  int tid, threads;
  void *scratch; /* grown by scratch_bytes, kept between ops */
  size_t scratch_size;
  int failed; /* set when scratch memory could not be allocated */
} Ctx;

/* Returns at least this many bytes of the thread's own memory, aligned to 64, contents undefined; or NULL, with ctx->failed set. */
void *scratch_bytes(Ctx *ctx, size_t bytes);
/* Returns when all threads of the team have called it. */
void team_barrier(Ctx *ctx);
/* TEAM_PARTIALS numbers that the team shares during one operation. */
double *team_partials(Ctx *ctx);
#define TEAM_PARTIALS 65536

typedef void (*Kernel)(Ctx *ctx, const Args *args);

/* Rows [from, to) of a matrix [rows, cols] to convert, written by src/backend/native/convert.ts. */
typedef struct {
  const void *src; /* [rows, cols], or if transposed [cols, rows] */
  void *dst;       /* NULL: only checks that the values are finite; then not transposed */
  int64_t rows, cols, from, to;
  int64_t src_type, dst_type;
  int64_t transposed;
} ConvertJob;

enum { CONVERT_DONE, CONVERT_NOT_FINITE, CONVERT_TOO_LARGE };

/* The kernels compiled for one instruction set. */
typedef struct {
  const char *name;
  Kernel kernel[OP_COUNT];
  /* Times independent multiply-adds; returns the number of floating-point operations. */
  double (*peak)(Index rounds);
#if !defined(__wasm__)
  /* Converts weights; one of CONVERT_... */
  int32_t (*convert)(const ConvertJob *job);
#endif
} KernelSet;

/* The thread's part [from, to) of n items, contiguous, in whole blocks of `grain`. */
static inline void split(const Ctx *ctx, int64_t n, int64_t grain, int64_t *from, int64_t *to) {
  int64_t blocks = (n + grain - 1) / grain;
  *from = blocks * ctx->tid / ctx->threads * grain;
  *to = blocks * (ctx->tid + 1) / ctx->threads * grain;
  if (*from > n) *from = n;
  if (*to > n) *to = n;
}

#endif
