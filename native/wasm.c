/*
 * The thread team that runs Programs in WebAssembly: the counterpart of runtime.c. One memory holds
 * one team. Each thread is a worker with an instance of this module on the shared memory, started by
 * src/backend/wasm/worker.ts with its own stack; it stays inside gpt2_work and sleeps there between runs. Without
 * shared memory one instance does everything through gpt2_run.
 */
#include <stdatomic.h>

#include "op.h"

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))

/* Seconds since some moment. */
IMPORT(now) double host_now(void);
/* Called by thread 0 at the end of a run with its result. */
IMPORT(done) void host_done(int32_t result);

extern const KernelSet kernels;

#define PAGE 65536
#define MAX_THREADS 64
/*
 * Number of looks at a counter before sleeping on it. At a barrier some 50 us: waking a thread takes 20 us or more, in which the others
 * would fall asleep at the next barrier, and so on. Between runs 5 us: the caller may need the processor.
 */
#define BARRIER_SPINS 200000
#define RUN_SPINS 20000

/* A counter on which threads wait, on its own cache line. */
typedef struct {
  _Alignas(128) atomic_int value;
  atomic_int sleepers;
} Event;

static struct Team {
  int threads;
  /* The current run: operations, or without any a measurement of the peak. */
  const Op *ops;
  int32_t n_ops;
  const int64_t *dims;
  const double *scalars;
  double *seconds;
  Event generation; /* changes when a run starts */
  Event phase;      /* changes when all threads have arrived at a barrier */
  _Alignas(128) atomic_int arrived;
} team;

static Ctx contexts[MAX_THREADS];
static double partials[TEAM_PARTIALS];

/* src/backend/wasm/module.ts refuses any other version. */
EXPORT(gpt2_version) int32_t gpt2_version(void) { return KERNELS_VERSION; }

/* ---- Waiting ---- */

static void event_change(Event *e) {
  atomic_fetch_add(&e->value, 1);
  /* Ordered with the sleeper's two steps: either it is seen here, or it sees the new value before it sleeps. */
  if (atomic_load(&e->sleepers)) __builtin_wasm_memory_atomic_notify((int *)&e->value, (unsigned)-1);
}

static void event_wait(Event *e, int seen, int spins) {
  for (int i = 0; i < spins; i++)
    if (atomic_load(&e->value) != seen) return;
  atomic_fetch_add(&e->sleepers, 1);
  while (atomic_load(&e->value) == seen) __builtin_wasm_memory_atomic_wait32((int *)&e->value, seen, -1);
  atomic_fetch_sub(&e->sleepers, 1);
}

void team_barrier(Ctx *ctx) {
  if (ctx->threads == 1) return;
  int seen = atomic_load(&team.phase.value);
  if (atomic_fetch_add(&team.arrived, 1) == ctx->threads - 1) {
    atomic_store(&team.arrived, 0);
    event_change(&team.phase);
  } else {
    event_wait(&team.phase, seen, BARRIER_SPINS);
  }
}

/* ---- Memory ---- */

double *team_partials(Ctx *ctx) {
  (void)ctx;
  return partials;
}

/*
 * Scratch memory is obtained by growing the memory, which gives each caller its own pages; the TypeScript side gets its
 * memory in the same way. Memory that a thread outgrows is not reused, so it grows to at least twice its size.
 */
void *scratch_bytes(Ctx *ctx, size_t bytes) {
  if (bytes <= ctx->scratch_size) return ctx->scratch;
  size_t twice = 2 * ctx->scratch_size;
  for (size_t size = bytes > twice ? bytes : twice;; size = bytes) {
    size_t page = __builtin_wasm_memory_grow(0, (size + PAGE - 1) / PAGE);
    if (page != (size_t)-1) {
      ctx->scratch = (void *)(page * PAGE);
      ctx->scratch_size = (size + PAGE - 1) / PAGE * PAGE;
      return ctx->scratch;
    }
    if (size == bytes) break;
  }
  ctx->failed = 1;
  return NULL;
}

/* ---- Running ---- */

/* Runs operation i with the sizes and numbers of the run filled in. */
static void run_op(Ctx *ctx, const Op *op) {
  void *tensor[MAX_TENSORS];
  Args args = {.tensor = tensor, .dtype = op->dtype};
  for (int t = 0; t < MAX_TENSORS; t++) tensor[t] = (void *)(uintptr_t)op->tensor[t];
  for (int d = 0; d < MAX_DIMS; d++) args.dim[d] = op->dim[d] >= 0 ? op->dim[d] : team.dims[-1 - op->dim[d]];
  for (int s = 0; s < MAX_SCALARS; s++)
    args.scalar[s] = op->scalar_ref[s] < 0 ? op->scalar[s] : team.scalars[op->scalar_ref[s]];
  kernels.kernel[op->kind](ctx, &args);
  team_barrier(ctx);
}

/* Runs operations from `first` on until all are done or the time `until` is reached (0: no limit); returns the next one. */
static int32_t run_ops(Ctx *ctx, int32_t first, double until) {
  int timed = team.seconds && ctx->tid == 0;
  double start = timed ? host_now() : 0;
  int32_t i = first;
  while (i < team.n_ops) {
    run_op(ctx, &team.ops[i]);
    if (timed) {
      double end = host_now();
      team.seconds[i] += end - start;
      start = end;
    }
    i++;
    if (until && host_now() >= until) break;
  }
  return i;
}

/* This thread's multiply-add peak in FLOP/s, to partials[tid]. */
static void measure_peak(Ctx *ctx) {
  double best = 0;
  for (int i = 0; i < 8; i++) { /* the first rounds also warm up the engine's compiler */
    double start = host_now(), flops = kernels.peak(i < 3 ? 200000 : 2000000), rate = flops / (host_now() - start);
    if (i >= 3 && rate > best) best = rate;
  }
  partials[ctx->tid] = best;
}

static void run_all(Ctx *ctx) {
  if (team.ops) run_ops(ctx, 0, 0);
  else measure_peak(ctx);
  team_barrier(ctx); /* no thread is still in the run when its end is reported */
}

static int32_t take_result(void) {
  int failed = 0;
  for (int i = 0; i < team.threads; i++) failed |= contexts[i].failed, contexts[i].failed = 0;
  return failed ? -1 : 0;
}

/* Called once, before everything else, with the number of threads. Returns 0, or -1 if there can't be as many. */
EXPORT(gpt2_setup) int32_t gpt2_setup(int32_t threads) {
  if (threads < 1 || threads > MAX_THREADS) return -1;
  team.threads = threads;
  for (int i = 0; i < threads; i++) contexts[i] = (Ctx){.team = &team, .tid = i, .threads = threads};
  return 0;
}

/* The main loop of thread tid: runs what gpt2_start starts, forever. */
EXPORT(gpt2_work) void gpt2_work(int32_t tid) {
  Ctx *ctx = &contexts[tid];
  for (int seen = 0;; seen++) {
    event_wait(&team.generation, seen, RUN_SPINS);
    run_all(ctx);
    if (tid == 0) host_done(take_result());
  }
}

/* Sets the run's operations, sizes and numbers; times are added to seconds[i], unless NULL. With `ops` NULL the run measures the peak. */
EXPORT(gpt2_set) void gpt2_set(const Op *ops, int32_t n_ops, const int64_t *dims, const double *scalars, double *seconds) {
  team.ops = ops, team.n_ops = n_ops, team.dims = dims, team.scalars = scalars, team.seconds = seconds;
}

/* Starts the run that was set on the team's threads and returns at once. */
EXPORT(gpt2_start) void gpt2_start(void) { event_change(&team.generation); }

/* Runs what was set on the calling thread, from operation `first` until the time `until` (0: all); returns the next one. */
EXPORT(gpt2_run) int32_t gpt2_run(int32_t first, double until) { return run_ops(&contexts[0], first, until); }

/* After gpt2_run: 0, or -1 when memory ran out. */
EXPORT(gpt2_result) int32_t gpt2_result(void) { return take_result(); }

/* The calling thread's multiply-add peak in FLOP/s. */
EXPORT(gpt2_peak) double gpt2_peak(void) { return measure_peak(&contexts[0]), partials[0]; }

/* The address of each thread's peak after a run without operations. */
EXPORT(gpt2_partials) double *gpt2_partials(void) { return partials; }

/* ---- Functions that clang expects from a C library ---- */

/*
 * log x = e ln 2 + 2 atanh s, with x = 2^e m, m in [sqrt 1/2, sqrt 2), s = (m - 1) / (m + 1). For the sums of softmaxes:
 * x is normal and positive, infinite or NaN.
 */
float logf(float x) {
  if (!(x < __builtin_inff())) return x;
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  int e = (int)((bits - 0x3f3504f3u) >> 23);
  e = (e ^ 0x100) - 0x100; /* 9 bits with a sign */
  bits -= (uint32_t)e << 23;
  float m;
  __builtin_memcpy(&m, &bits, sizeof m);
  double s = ((double)m - 1) / ((double)m + 1), z = s * s;
  double p = 1 + z * (1.0 / 3 + z * (1.0 / 5 + z * (1.0 / 7 + z * (1.0 / 9 + z * (1.0 / 11 + z * (1.0 / 13))))));
  return (float)(e * 0.69314718055994530942 + 2 * s * p);
}
