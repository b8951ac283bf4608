/*
 * Generated from src/program/ops.ts by scripts/generate-c.ts (npm run generate): do not edit. Included by kernels.c after
 * the kernels.
 */
static void run_embedding_forward(Ctx *ctx, const Args *a) {
  embedding_forward(ctx, &(EmbeddingForwardArgs){
      .out = a->tensor[0],
      .tokens = a->tensor[1],
      .positions = a->tensor[2],
      .wte = {a->tensor[3], a->dtype[3]},
      .wpe = {a->tensor[4], a->dtype[4]},
      .N = a->dim[0],
      .C = a->dim[1],
  });
}

static void run_embedding_backward(Ctx *ctx, const Args *a) {
  embedding_backward(ctx, &(EmbeddingBackwardArgs){
      .dwte = a->tensor[0],
      .dwpe = a->tensor[1],
      .dout = a->tensor[2],
      .tokens = a->tensor[3],
      .positions = a->tensor[4],
      .N = a->dim[0],
      .C = a->dim[1],
  });
}

static void run_layernorm_forward(Ctx *ctx, const Args *a) {
  layernorm_forward(ctx, &(LayernormForwardArgs){
      .out = a->tensor[0],
      .mean = a->tensor[1],
      .rstd = a->tensor[2],
      .x = a->tensor[3],
      .weight = a->tensor[4],
      .bias = a->tensor[5],
      .N = a->dim[0],
      .C = a->dim[1],
      .epsilon = a->scalar[0],
  });
}

static void run_layernorm_backward(Ctx *ctx, const Args *a) {
  layernorm_backward(ctx, &(LayernormBackwardArgs){
      .dx = a->tensor[0],
      .dweight = a->tensor[1],
      .dbias = a->tensor[2],
      .dout = a->tensor[3],
      .x = a->tensor[4],
      .weight = a->tensor[5],
      .mean = a->tensor[6],
      .rstd = a->tensor[7],
      .N = a->dim[0],
      .C = a->dim[1],
      .overwrite = a->scalar[0] != 0,
  });
}

static void run_linear_forward(Ctx *ctx, const Args *a) {
  linear_forward(ctx, &(LinearForwardArgs){
      .out = a->tensor[0],
      .preact = a->tensor[1],
      .x = a->tensor[2],
      .weight = {a->tensor[3], a->dtype[3]},
      .bias = a->tensor[4],
      .residual = a->tensor[5],
      .N = a->dim[0],
      .IC = a->dim[1],
      .OC = a->dim[2],
      .act = (int)a->scalar[0],
      .path = (int)a->scalar[1],
      .bf16 = a->scalar[2] != 0,
  });
}

static void run_linear_backward_input(Ctx *ctx, const Args *a) {
  linear_backward_input(ctx, &(LinearBackwardInputArgs){
      .dx = a->tensor[0],
      .dout = a->tensor[1],
      .weight = {a->tensor[2], a->dtype[2]},
      .preact = a->tensor[3],
      .N = a->dim[0],
      .IC = a->dim[1],
      .OC = a->dim[2],
      .act = (int)a->scalar[0],
      .accumulate = a->scalar[1] != 0,
      .bf16 = a->scalar[2] != 0,
  });
}

static void run_linear_backward_weight(Ctx *ctx, const Args *a) {
  linear_backward_weight(ctx, &(LinearBackwardWeightArgs){
      .dweight = a->tensor[0],
      .dbias = a->tensor[1],
      .dout = a->tensor[2],
      .x = a->tensor[3],
      .N = a->dim[0],
      .IC = a->dim[1],
      .OC = a->dim[2],
      .bf16 = a->scalar[0] != 0,
  });
}

static void run_attention_forward(Ctx *ctx, const Args *a) {
  attention_forward(ctx, &(AttentionForwardArgs){
      .out = a->tensor[0],
      .lse = a->tensor[1],
      .q = a->tensor[2],
      .k = {a->tensor[3], a->dtype[3]},
      .v = {a->tensor[4], a->dtype[4]},
      .first = a->tensor[5],
      .last = a->tensor[6],
      .N = a->dim[0],
      .NH = a->dim[1],
      .HS = a->dim[2],
      .ldq = a->dim[3],
      .ldkv = a->dim[4],
      .scale = a->scalar[0],
      .p = a->scalar[1],
      .key0 = (uint32_t)(int64_t)a->scalar[2],
      .key1 = (uint32_t)(int64_t)a->scalar[3],
      .path = (int)a->scalar[4],
      .bf16 = a->scalar[5] != 0,
  });
}

static void run_attention_backward(Ctx *ctx, const Args *a) {
  attention_backward(ctx, &(AttentionBackwardArgs){
      .dq = a->tensor[0],
      .dk = a->tensor[1],
      .dv = a->tensor[2],
      .dout = a->tensor[3],
      .out = a->tensor[4],
      .lse = a->tensor[5],
      .q = a->tensor[6],
      .k = a->tensor[7],
      .v = a->tensor[8],
      .first = a->tensor[9],
      .last = a->tensor[10],
      .N = a->dim[0],
      .NH = a->dim[1],
      .HS = a->dim[2],
      .ldq = a->dim[3],
      .ldkv = a->dim[4],
      .scale = a->scalar[0],
      .p = a->scalar[1],
      .key0 = (uint32_t)(int64_t)a->scalar[2],
      .key1 = (uint32_t)(int64_t)a->scalar[3],
      .bf16 = a->scalar[4] != 0,
  });
}

static void run_scatter_rows(Ctx *ctx, const Args *a) {
  scatter_rows(ctx, &(ScatterRowsArgs){
      .dst = {a->tensor[0], a->dtype[0]},
      .src = a->tensor[1],
      .index = a->tensor[2],
      .N = a->dim[0],
      .W = a->dim[1],
      .ldsrc = a->dim[2],
      .lddst = a->dim[3],
  });
}

static void run_gather_rows(Ctx *ctx, const Args *a) {
  gather_rows(ctx, &(GatherRowsArgs){
      .out = a->tensor[0],
      .x = {a->tensor[1], a->dtype[1]},
      .index = a->tensor[2],
      .N = a->dim[0],
      .W = a->dim[1],
  });
}

static void run_dropout(Ctx *ctx, const Args *a) {
  dropout(ctx, &(DropoutArgs){
      .out = a->tensor[0],
      .x = a->tensor[1],
      .residual = a->tensor[2],
      .N = a->dim[0],
      .C = a->dim[1],
      .p = a->scalar[0],
      .key0 = (uint32_t)(int64_t)a->scalar[1],
      .key1 = (uint32_t)(int64_t)a->scalar[2],
  });
}

static void run_cross_entropy(Ctx *ctx, const Args *a) {
  cross_entropy(ctx, &(CrossEntropyArgs){
      .losses = a->tensor[0],
      .dlogits = a->tensor[1],
      .logits = a->tensor[2],
      .targets = a->tensor[3],
      .N = a->dim[0],
      .V = a->dim[1],
      .scale = a->scalar[0],
  });
}

static void run_summarise_rows(Ctx *ctx, const Args *a) {
  summarise_rows(ctx, &(SummariseRowsArgs){
      .tops = a->tensor[0],
      .sums = a->tensor[1],
      .bars = a->tensor[2],
      .totals = a->tensor[3],
      .logits = a->tensor[4],
      .scales = a->tensor[5],
      .shares = a->tensor[6],
      .floors = a->tensor[7],
      .N = a->dim[0],
      .V = a->dim[1],
      .L = a->dim[2],
      .B = a->dim[3],
  });
}

static void run_fill(Ctx *ctx, const Args *a) {
  fill(ctx, &(FillArgs){
      .x = a->tensor[0],
      .size = a->dim[0],
      .value = a->scalar[0],
  });
}

static void run_norm(Ctx *ctx, const Args *a) {
  norm(ctx, &(NormArgs){
      .norm = a->tensor[0],
      .x = a->tensor[1],
      .size = a->dim[0],
  });
}

static void run_adamw(Ctx *ctx, const Args *a) {
  adamw(ctx, &(AdamwArgs){
      .param = a->tensor[0],
      .grad = a->tensor[1],
      .m = a->tensor[2],
      .v = a->tensor[3],
      .norm = a->tensor[4],
      .size = a->dim[0],
      .lr = a->scalar[0],
      .beta1 = a->scalar[1],
      .beta2 = a->scalar[2],
      .epsilon = a->scalar[3],
      .weightDecay = a->scalar[4],
      .correction1 = a->scalar[5],
      .correction2 = a->scalar[6],
      .maxNorm = a->scalar[7],
  });
}

static void run_momentum(Ctx *ctx, const Args *a) {
  momentum(ctx, &(MomentumArgs){
      .out = a->tensor[0],
      .m = a->tensor[1],
      .grad = a->tensor[2],
      .norm = a->tensor[3],
      .size = a->dim[0],
      .momentum = a->scalar[0],
      .maxNorm = a->scalar[1],
  });
}

static void run_weighted_sum(Ctx *ctx, const Args *a) {
  weighted_sum(ctx, &(WeightedSumArgs){
      .out = a->tensor[0],
      .a = a->tensor[1],
      .b = a->tensor[2],
      .norm = a->tensor[3],
      .size = a->dim[0],
      .alpha = a->scalar[0],
      .beta = a->scalar[1],
      .epsilon = a->scalar[2],
  });
}

static void run_decayed_step(Ctx *ctx, const Args *a) {
  decayed_step(ctx, &(DecayedStepArgs){
      .param = a->tensor[0],
      .step = a->tensor[1],
      .size = a->dim[0],
      .lr = a->scalar[0],
      .scale = a->scalar[1],
      .weightDecay = a->scalar[2],
  });
}

static void run_scale_columns(Ctx *ctx, const Args *a) {
  scale_columns(ctx, &(ScaleColumnsArgs){
      .out = a->tensor[0],
      .x = a->tensor[1],
      .gain = a->tensor[2],
      .index = a->tensor[3],
      .N = a->dim[0],
      .C = a->dim[1],
  });
}

static void run_activation(Ctx *ctx, const Args *a) {
  activation(ctx, &(ActivationArgs){
      .out = a->tensor[0],
      .x = a->tensor[1],
      .N = a->dim[0],
      .C = a->dim[1],
      .act = (int)a->scalar[0],
  });
}

static void run_activation_backward(Ctx *ctx, const Args *a) {
  activation_backward(ctx, &(ActivationBackwardArgs){
      .dx = a->tensor[0],
      .dout = a->tensor[1],
      .x = a->tensor[2],
      .N = a->dim[0],
      .C = a->dim[1],
      .act = (int)a->scalar[0],
  });
}

static void run_add(Ctx *ctx, const Args *a) {
  add(ctx, &(AddArgs){
      .out = a->tensor[0],
      .a = a->tensor[1],
      .b = a->tensor[2],
      .N = a->dim[0],
      .C = a->dim[1],
  });
}

static void run_multiply(Ctx *ctx, const Args *a) {
  multiply(ctx, &(MultiplyArgs){
      .out = a->tensor[0],
      .a = a->tensor[1],
      .b = a->tensor[2],
      .N = a->dim[0],
      .C = a->dim[1],
  });
}

/* In the order of the enumeration. */
#define KERNEL_TABLE {run_embedding_forward, run_embedding_backward, run_layernorm_forward, run_layernorm_backward, run_linear_forward, run_linear_backward_input, run_linear_backward_weight, run_attention_forward, run_attention_backward, run_scatter_rows, run_gather_rows, run_dropout, run_cross_entropy, run_summarise_rows, run_fill, run_norm, run_adamw, run_momentum, run_weighted_sum, run_decayed_step, run_scale_columns, run_activation, run_activation_backward, run_add, run_multiply}
