/* The flat interface between a Program and the kernels. */
#ifndef GPT2_OP_H
#define GPT2_OP_H

#include <stddef.h>
#include <stdint.h>

#define MAX_TENSORS 12
#define MAX_DIMS 8
#define MAX_SCALARS 8

/* In the order of OPS in src/program/ops.ts. */
enum {
  OP_EMBEDDING_FORWARD,
  OP_EMBEDDING_BACKWARD,
  OP_LAYERNORM_FORWARD,
  OP_LAYERNORM_BACKWARD,
  OP_LINEAR_FORWARD,
  OP_LINEAR_BACKWARD_INPUT,
  OP_LINEAR_BACKWARD_WEIGHT,
  OP_ATTENTION_FORWARD,
  OP_ATTENTION_BACKWARD,
  OP_SCATTER_ROWS,
  OP_GATHER_ROWS,
  OP_DROPOUT,
  OP_CROSS_ENTROPY,
  OP_FILL,
  OP_NORM,
  OP_ADAMW,
  OP_SCALE_COLUMNS,
  OP_ACTIVATION,
  OP_ACTIVATION_BACKWARD,
  OP_COUNT
};

/* A pointer in 8 bytes everywhere, so that one encoding serves memories of 32 bits too. */
#if UINTPTR_MAX > UINT32_MAX
typedef void *Address;
#else
typedef uint64_t Address;
#endif

/* What an array holds, in the order of DTYPES in src/dtype/dtype.ts. */
enum { F32, I32, F16, BF16, Q8_0, Q4_0 };

/* One recorded operation, 264 bytes, written by src/backend/native/encode.ts. */
typedef struct {
  uint64_t kind;                    /* OP_... in the lowest 16 bits, above it 4 for each tensor: its dtype */
  Address tensor[MAX_TENSORS];      /* NULL where absent */
  int64_t dim[MAX_DIMS];            /* -1 - i: the i-th size of the run */
  double scalar[MAX_SCALARS];       /* used where scalar_ref is -1 */
  int32_t scalar_ref[MAX_SCALARS];  /* else the index of a number of the run */
} Op;

/* An operation with the sizes and numbers of one run filled in. */
typedef struct {
  uint64_t kind;
  void *const *tensor;
  int64_t dim[MAX_DIMS];
  double scalar[MAX_SCALARS];
} Args;

#define OP_OF(kind) ((kind) & 0xffff)
/* The dtype of an operation's i-th tensor. */
static inline int dtype_of(const Args *a, int i) { return (int)(a->kind >> (16 + 4 * i) & 15); }

struct Team;

/* What one thread of the team knows while it runs a kernel. */
typedef struct {
  struct Team *team;
  int tid, threads;
  void *scratch; /* grown by scratch_bytes, kept between ops */
  size_t scratch_size;
  int failed; /* set when scratch memory could not be had */
} Ctx;

/* At least this many bytes of this thread's own memory, aligned to 64; contents undefined. NULL sets ctx->failed. */
void *scratch_bytes(Ctx *ctx, size_t bytes);
/* All threads of the team meet here. */
void team_barrier(Ctx *ctx);
/* Memory shared by the team during one op (doubles); slot i is any thread's to write. */
double *team_partials(Ctx *ctx);
#define TEAM_PARTIALS 65536

typedef void (*Kernel)(Ctx *ctx, const Args *args);

/* Rows [from, to) of a matrix [rows, cols] to be converted, written by src/backend/native/convert.ts. */
typedef struct {
  const void *src; /* [rows, cols], or if transposed [cols, rows] */
  void *dst;       /* NULL only looks whether the values are finite; then not transposed */
  int64_t rows, cols, from, to;
  int64_t src_type, dst_type;
  int64_t transposed;
} ConvertJob;

enum { CONVERT_DONE, CONVERT_NOT_FINITE, CONVERT_TOO_LARGE };

/* The kernels compiled for one instruction set. */
typedef struct {
  const char *name;
  Kernel kernel[OP_COUNT];
  /* Independent multiply-adds for a while; returns the floating-point operations done. */
  double (*peak)(long rounds);
#if !defined(__wasm__)
  /* Converts weights; one of CONVERT_... */
  int32_t (*convert)(const ConvertJob *job);
#endif
} KernelSet;

/* This thread's part [from, to) of n items handed out in blocks of `grain`, contiguous, whatever the thread count. */
static inline void split(const Ctx *ctx, int64_t n, int64_t grain, int64_t *from, int64_t *to) {
  int64_t blocks = (n + grain - 1) / grain;
  *from = blocks * ctx->tid / ctx->threads * grain;
  *to = blocks * (ctx->tid + 1) / ctx->threads * grain;
  if (*from > n) *from = n;
  if (*to > n) *to = n;
}

#endif
