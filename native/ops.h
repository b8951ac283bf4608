/* Generated from src/program/ops.ts by scripts/generate-c.ts (npm run generate): do not edit. */
#ifndef GPT2_OPS_H
#define GPT2_OPS_H

#include <stdbool.h>
#include <stdint.h>

/* Identifies this file's contents to TypeScript, src/backend/kernels/op-layout.ts. */
#define KERNELS_VERSION (1519199394)

/* Maxima over all operations. */
#define MAX_TENSORS 11
#define MAX_DIMS 5
#define MAX_SCALARS 8

/* Size of an encoded operation, and the offset of its tensors' dtypes. */
#define OP_BYTES 240
#define DTYPES_AT 226

enum { F32, I32, F16, BF16, Q8_0, Q4_0 };
enum { ACT_NONE, ACT_GELU_NEW, ACT_GELU, ACT_RELU, ACT_SILU, ACT_TANH, ACT_QUICK_GELU };
enum { PATH_AUTO, PATH_STREAMED, PATH_PACKED };

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
  OP_SUMMARISE_ROWS,
  OP_FILL,
  OP_NORM,
  OP_ADAMW,
  OP_MOMENTUM,
  OP_WEIGHTED_SUM,
  OP_DECAYED_STEP,
  OP_SCALE_COLUMNS,
  OP_ACTIVATION,
  OP_ACTIVATION_BACKWARD,
  OP_ADD,
  OP_MULTIPLY,
  OP_COUNT
};

/* A matrix of any dtype but I32. */
typedef struct {
  const void *data;
  int type;
} Weights;

/* Keys or values, F32 or F16. */
typedef struct {
  void *data;
  int type;
} Cached;

typedef struct {
  float *out; /* [N, C] */
  const int32_t *tokens; /* [N], rows of wte */
  const int32_t *positions; /* [N], rows of wpe */
  Weights wte; /* [*, C] */
  Weights wpe; /* [*, C] */
  Index N, C;
} EmbeddingForwardArgs;

typedef struct {
  float *dwte; /* [*, C], or NULL */
  float *dwpe; /* [*, C], or NULL */
  const float *dout; /* [N, C] */
  const int32_t *tokens; /* [N], rows of dwte */
  const int32_t *positions; /* [N], rows of dwpe */
  Index N, C;
} EmbeddingBackwardArgs;

typedef struct {
  float *out; /* [N, C] */
  float *mean; /* [N], or NULL */
  float *rstd; /* [N], or NULL */
  const float *x; /* [N, C] */
  const float *weight; /* [C] */
  const float *bias; /* [C] */
  Index N, C;
  double epsilon;
} LayernormForwardArgs;

typedef struct {
  float *dx; /* [N, C] */
  float *dweight; /* [C], or NULL */
  float *dbias; /* [C], or NULL */
  const float *dout; /* [N, C] */
  const float *x; /* [N, C] */
  const float *weight; /* [C] */
  const float *mean; /* [N] */
  const float *rstd; /* [N] */
  Index N, C;
  bool overwrite;
} LayernormBackwardArgs;

typedef struct {
  float *out; /* [N, OC] */
  float *preact; /* [N, OC], or NULL */
  const float *x; /* [N, IC] */
  Weights weight; /* [OC, IC] */
  const float *bias; /* [OC], or NULL */
  const float *residual; /* [N, OC], or NULL */
  Index N, IC, OC;
  int act; /* ACT_... */
  int path; /* PATH_... */
  bool bf16;
} LinearForwardArgs;

typedef struct {
  float *dx; /* [N, IC] */
  const float *dout; /* [N, OC] */
  Weights weight; /* [OC, IC] */
  const float *preact; /* [N, IC], or NULL */
  Index N, IC, OC;
  int act; /* ACT_... */
  bool accumulate;
  bool bf16;
} LinearBackwardInputArgs;

typedef struct {
  float *dweight; /* [OC, IC], or NULL */
  float *dbias; /* [OC], or NULL */
  const float *dout; /* [N, OC] */
  const float *x; /* [N, IC] */
  Index N, IC, OC;
  bool bf16;
} LinearBackwardWeightArgs;

typedef struct {
  float *out; /* [N, NH, HS] */
  float *lse; /* [N, NH], or NULL */
  const float *q; /* [N, NH, HS], rows ldq apart */
  Cached k; /* [*, NH, HS], rows ldkv apart */
  Cached v; /* [*, NH, HS], rows ldkv apart */
  const int32_t *first; /* [N], rows of k and v */
  const int32_t *last; /* [N], rows of k and v */
  Index N, NH, HS, ldq, ldkv;
  double scale;
  double p;
  uint32_t key0;
  uint32_t key1;
  int path; /* PATH_... */
  bool bf16;
} AttentionForwardArgs;

typedef struct {
  float *dq; /* [N, NH, HS], rows ldq apart */
  float *dk; /* [N, NH, HS], rows ldkv apart */
  float *dv; /* [N, NH, HS], rows ldkv apart */
  const float *dout; /* [N, NH, HS] */
  const float *out; /* [N, NH, HS] */
  const float *lse; /* [N, NH] */
  const float *q; /* [N, NH, HS], rows ldq apart */
  const float *k; /* [N, NH, HS], rows ldkv apart */
  const float *v; /* [N, NH, HS], rows ldkv apart */
  const int32_t *first; /* [N], rows of k and v */
  const int32_t *last; /* [N], rows of k and v */
  Index N, NH, HS, ldq, ldkv;
  double scale;
  double p;
  uint32_t key0;
  uint32_t key1;
  bool bf16;
} AttentionBackwardArgs;

typedef struct {
  Cached dst; /* [*, W], rows lddst apart */
  const float *src; /* [N, W], rows ldsrc apart */
  const int32_t *index; /* [N], rows of dst */
  Index N, W, ldsrc, lddst;
} ScatterRowsArgs;

typedef struct {
  float *out; /* [N, W] */
  Cached x; /* [*, W] */
  const int32_t *index; /* [N], rows of x */
  Index N, W;
} GatherRowsArgs;

typedef struct {
  float *out; /* [N, C] */
  const float *x; /* [N, C] */
  const float *residual; /* [N, C], or NULL */
  Index N, C;
  double p;
  uint32_t key0;
  uint32_t key1;
} DropoutArgs;

typedef struct {
  float *losses; /* [N] */
  float *dlogits; /* [N, V], or NULL */
  const float *logits; /* [N, V] */
  const int32_t *targets; /* [N], below V, or negative */
  Index N, V;
  double scale;
} CrossEntropyArgs;

typedef struct {
  float *tops; /* [N, B] */
  float *sums; /* [N, B] */
  float *bars; /* [N] */
  float *totals; /* [N] */
  const float *logits; /* [N, L], rows V apart */
  const float *scales; /* [N] */
  const float *shares; /* [N] */
  const float *floors; /* [N] */
  Index N, V, L, B;
} SummariseRowsArgs;

typedef struct {
  float *x; /* [size] */
  Index size;
  double value;
} FillArgs;

typedef struct {
  float *norm; /* [] */
  const float *x; /* [size] */
  Index size;
} NormArgs;

typedef struct {
  float *param; /* [size] */
  const float *grad; /* [size] */
  float *m; /* [size] */
  float *v; /* [size] */
  const float *norm; /* [], or NULL */
  Index size;
  double lr;
  double beta1;
  double beta2;
  double epsilon;
  double weightDecay;
  double correction1;
  double correction2;
  double maxNorm;
} AdamwArgs;

typedef struct {
  float *out; /* [size] */
  float *m; /* [size] */
  const float *grad; /* [size] */
  const float *norm; /* [], or NULL */
  Index size;
  double momentum;
  double maxNorm;
} MomentumArgs;

typedef struct {
  float *out; /* [size] */
  const float *a; /* [size] */
  const float *b; /* [size], or NULL */
  const float *norm; /* [], or NULL */
  Index size;
  double alpha;
  double beta;
  double epsilon;
} WeightedSumArgs;

typedef struct {
  float *param; /* [size] */
  const float *step; /* [size] */
  Index size;
  double lr;
  double scale;
  double weightDecay;
} DecayedStepArgs;

typedef struct {
  float *out; /* [N, C] */
  const float *x; /* [N, C] */
  const float *gain; /* [*, C] */
  const int32_t *index; /* [N], rows of gain, or NULL */
  Index N, C;
} ScaleColumnsArgs;

typedef struct {
  float *out; /* [N, C] */
  const float *x; /* [N, C] */
  Index N, C;
  int act; /* ACT_... */
} ActivationArgs;

typedef struct {
  float *dx; /* [N, C] */
  const float *dout; /* [N, C] */
  const float *x; /* [N, C] */
  Index N, C;
  int act; /* ACT_... */
} ActivationBackwardArgs;

typedef struct {
  float *out; /* [N, C] */
  const float *a; /* [N, C] */
  const float *b; /* [N, C] */
  Index N, C;
} AddArgs;

typedef struct {
  float *out; /* [N, C] */
  const float *a; /* [N, C] */
  const float *b; /* [N, C] */
  Index N, C;
} MultiplyArgs;

#endif
