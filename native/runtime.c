/*
 * The thread team that runs Programs, memory, mapped files, and the choice of instruction set: everything that the TypeScript
 * side calls (src/backend/native/library.ts). Operating system calls are in platform.h.
 */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "op.h"
#include "platform.h"
#include "processor.h"

/* Incremented with every change of the functions exported here. */
#define FUNCTIONS_VERSION 2
/* library.ts refuses any other version. */
EXPORT int32_t gpt2_version(void) { return (int32_t)((uint32_t)KERNELS_VERSION + FUNCTIONS_VERSION); }

/* ---- Instruction sets ---- */

/* Whether this machine can run the named instruction set; the empty name stands for the best. */
EXPORT int32_t gpt2_has_isa(const char *isa) { return find_kernels(isa) != NULL; }
EXPORT const char *gpt2_best_isa(void) { return find_kernels("")->name; }

/* ---- Memory ---- */

#define HUGE_PAGE ((size_t)2 << 20)
/* Smaller blocks come from the C library, which keeps freed memory; larger ones are returned to the system at once. */
#define SMALL_BYTES ((size_t)64 << 10)
/*
 * Blocks up to this size get ordinary pages. Often only a small part of them is touched (a KV cache, logits, activations, each with
 * room for far more tokens than there are), and the first touch of a huge page has to clear all of it: a tenth of a
 * millisecond, and in a virtual machine several where the host has not allocated that memory yet. A decoder starts with some 24.
 */
#define ORDINARY_BYTES ((size_t)32 << 20)

static size_t block_size(size_t bytes) {
  if (bytes < SMALL_BYTES) return bytes ? bytes : 1;
  size_t unit = bytes < HUGE_PAGE ? SMALL_BYTES : HUGE_PAGE;
  return (bytes + unit - 1) / unit * unit;
}

/* Zeroed memory, aligned to at least 64 bytes; very large blocks in huge pages where the system has them. */
static void *block_alloc(size_t bytes) {
  size_t size = block_size(bytes);
  if (size >= SMALL_BYTES) return pages_alloc(size, size < HUGE_PAGE ? 0 : HUGE_PAGE, size > ORDINARY_BYTES);
  void *p = aligned_memory(64, size);
  return p ? memset(p, 0, size) : NULL;
}

static void block_free(void *p, size_t bytes) {
  size_t size = block_size(bytes);
  if (size < SMALL_BYTES) aligned_free(p);
  else pages_free(p, size);
}

/* ---- Resources held by JavaScript ---- */

/*
 * A block of memory, a mapped file or a team, in its thread's list. JavaScript releases each explicitly; when a thread ends
 * without doing so, like a terminated worker, the rest of its list is released.
 */
typedef struct Resource {
  struct Resource *next, **link;
  enum { MEMORY, MAPPED_FILE, TEAM } kind;
  void *memory;
  size_t bytes;
} Resource;

static void team_free(Resource *team);

EXPORT void gpt2_release(Resource *r) {
  if (r->next) r->next->link = r->link;
  *r->link = r->next;
  if (r->kind == TEAM) {
    team_free(r);
    return;
  }
  if (r->kind == MEMORY) block_free(r->memory, r->bytes);
  else file_unmap(r->memory, r->bytes);
  free(r);
}

/*
 * Returns the memory to the system before the resource is released. Its addresses stay valid: later reads find
 * zeros (in blocks under 64 KiB, and on Windows, the old contents).
 */
EXPORT void gpt2_discard(Resource *r) {
  if (r->kind == MAPPED_FILE) file_discard(r->memory, r->bytes);
  else if (r->kind == MEMORY && r->bytes >= SMALL_BYTES) pages_discard(r->memory, block_size(r->bytes));
}

static ThreadKey owner_key;

static void THREAD_END_CALL release_all(void *owner) {
  Resource **list = owner;
  while (*list) gpt2_release(*list);
  free(list);
}

/* Called once for the process. */
static void prepare_owners(void) {
  stay_loaded(); /* the teams' threads, and release_all, may outlive the library's user */
  thread_key_make(&owner_key, release_all);
}

/* Adds a resource to this thread's list. Returns 0 when there is no memory for the list. */
static int own(Resource *r) {
  static Once once = ONCE_INIT;
  run_once(&once, prepare_owners);
  Resource **list = thread_value(owner_key);
  if (!list) {
    list = calloc(1, sizeof *list);
    if (!list) return 0;
    thread_set_value(owner_key, list);
  }
  r->next = *list;
  r->link = list;
  if (r->next) r->next->link = &r->next;
  *list = r;
  return 1;
}

/* Takes ownership of the memory, which may be NULL; it is freed if that fails. */
static Resource *resource(int kind, void *memory, size_t bytes) {
  Resource *r = memory ? calloc(1, sizeof *r) : NULL;
  if (r) {
    *r = (Resource){.kind = kind, .memory = memory, .bytes = bytes};
    if (own(r)) return r;
    free(r);
  }
  if (memory && kind == MEMORY) block_free(memory, bytes);
  else if (memory) file_unmap(memory, bytes);
  return NULL;
}

/* Zeroed memory; NULL if memory is exhausted. */
EXPORT Resource *gpt2_alloc(int64_t bytes) {
  size_t size = bytes > 0 ? (size_t)bytes : 0;
  return resource(MEMORY, block_alloc(size), size);
}

/* A file mapped read-only, or NULL with minus the system's error number in *size. */
EXPORT Resource *gpt2_map(const char *path, int64_t *size) {
  void *p = file_map(path, size);
  return resource(MAPPED_FILE, p, p ? (size_t)*size : 0);
}

EXPORT void *gpt2_memory(const Resource *r) { return r->memory; }

/* Marks a part of a mapped file as not needed soon; it stays readable. */
EXPORT void gpt2_forget(void *p, int64_t bytes) { file_forget(p, (size_t)bytes); }

/* ---- The team ---- */

typedef struct Team {
  Resource resource; /* first: JavaScript's handle for the team */
  const KernelSet *kernels;
  int threads;
  Thread *handles;
  Ctx *ctx;
  double *partials;
  /* The current run. */
  const Op *ops;
  int64_t n_ops;
  const int64_t *dims;
  const double *scalars;
  double *seconds;
  /* A run starts when `generation` changes; workers sleep on it between runs. */
  atomic_int generation, quit;
  Mutex lock;
  Condition wake;
  /* Whether each thread has its own processor: then waiting threads spin. Otherwise a spinning thread would keep another from running. */
  bool spins;
  Condition met; /* tells sleepers at the barrier that the next phase has begun */
  /* Barrier: the last to arrive starts the next phase. Each counter on a cache line of its own. */
  _Alignas(128) atomic_int arrived;
  _Alignas(128) atomic_int phase;
  _Alignas(128) atomic_int sleepers;
} Team;

static inline void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/*
 * At a barrier a thread spins for some 50 us, then yields the processor between looks, then sleeps: on a busy machine
 * the thread for which it waits may need its processor, and yielding alone hands it over only for an instant.
 */
#define SPINS 2000
#define YIELD_SECONDS 2e-4
/* Some 200 us: from token to token a thread does not sleep, as waking it takes longer than the caller's work in between. */
#define SPINS_BETWEEN_RUNS 10000

/* Whether the phase changes within some 0.2 ms, spinning meanwhile. */
static bool phase_changes(Team *t, int phase) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load_explicit(&t->phase, memory_order_acquire) != phase) return true;
    pause_cpu();
  }
  for (double until = now() + YIELD_SECONDS; now() < until;) {
    if (atomic_load_explicit(&t->phase, memory_order_acquire) != phase) return true;
    thread_yield();
  }
  return false;
}

static void wait_for_phase(Team *t, int phase) {
  if (t->spins && phase_changes(t, phase)) return;
  atomic_fetch_add(&t->sleepers, 1);
  mutex_lock(&t->lock);
  while (atomic_load(&t->phase) == phase) condition_wait(&t->met, &t->lock);
  mutex_unlock(&t->lock);
  atomic_fetch_sub(&t->sleepers, 1);
}

static void start_phase(Team *t, int phase) {
  atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
  atomic_store(&t->phase, phase);
  /* Ordered with a sleeper's two steps: either the sleeper is seen here, or it sees the new phase before it sleeps. */
  if (!atomic_load(&t->sleepers)) return;
  mutex_lock(&t->lock);
  condition_broadcast(&t->met);
  mutex_unlock(&t->lock);
}

void team_barrier(Ctx *ctx) {
  Team *t = ctx->team;
  if (t->threads == 1) return;
  int phase = atomic_load_explicit(&t->phase, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) == t->threads - 1) start_phase(t, phase + 1);
  else wait_for_phase(t, phase);
}

double *team_partials(Ctx *ctx) { return ctx->team->partials; }

void *scratch_bytes(Ctx *ctx, size_t bytes) {
  if (bytes > ctx->scratch_size) {
    if (ctx->scratch) block_free(ctx->scratch, ctx->scratch_size);
    ctx->scratch = block_alloc(bytes);
    ctx->scratch_size = ctx->scratch ? bytes : 0;
    if (!ctx->scratch) ctx->failed = 1;
  }
  return ctx->scratch;
}

static void run_ops(Ctx *ctx) {
  Team *t = ctx->team;
  double start = t->seconds && ctx->tid == 0 ? now() : 0;
  for (int64_t i = 0; i < t->n_ops; i++) {
    const Op *op = &t->ops[i];
    Args args = {.tensor = op->tensor, .dtype = op->dtype};
    for (int d = 0; d < MAX_DIMS; d++) args.dim[d] = op->dim[d] >= 0 ? op->dim[d] : t->dims[-1 - op->dim[d]];
    for (int s = 0; s < MAX_SCALARS; s++)
      args.scalar[s] = op->scalar_ref[s] < 0 ? op->scalar[s] : t->scalars[op->scalar_ref[s]];
    t->kernels->kernel[op->kind](ctx, &args);
    team_barrier(ctx);
    if (t->seconds && ctx->tid == 0) {
      double end = now();
      t->seconds[i] += end - start;
      start = end;
    }
  }
}

static ThreadResult THREAD_CALL worker(void *arg) {
  Ctx *ctx = arg;
  Team *t = ctx->team;
  int seen = 0;
  for (;;) {
    for (int i = 0; t->spins && i < SPINS_BETWEEN_RUNS && atomic_load_explicit(&t->generation, memory_order_acquire) == seen; i++) {
      pause_cpu();
      if (i % 64 == 63) thread_yield();
    }
    if (atomic_load_explicit(&t->generation, memory_order_acquire) == seen) {
      mutex_lock(&t->lock);
      while (atomic_load(&t->generation) == seen) condition_wait(&t->wake, &t->lock);
      mutex_unlock(&t->lock);
    }
    seen = atomic_load(&t->generation);
    if (atomic_load(&t->quit)) return 0;
    run_ops(ctx);
    team_barrier(ctx); /* no thread is still inside the run when the leader returns */
  }
}

static void start_generation(Team *t) {
  mutex_lock(&t->lock);
  atomic_fetch_add(&t->generation, 1);
  condition_broadcast(&t->wake);
  mutex_unlock(&t->lock);
}

/* Ends the threads that were started; they finish their current run. */
static void team_free(Resource *r) {
  Team *t = (Team *)r;
  atomic_store(&t->quit, 1);
  start_generation(t);
  for (int i = 1; i < t->threads; i++) thread_join(t->handles[i]);
  for (int i = 0; i < t->threads; i++)
    if (t->ctx && t->ctx[i].scratch) block_free(t->ctx[i].scratch, t->ctx[i].scratch_size);
  free(t->handles);
  free(t->ctx);
  if (t->partials) block_free(t->partials, TEAM_PARTIALS * sizeof(double));
  aligned_free(t);
}

/* A team of `threads` threads, including the caller of gpt2_run; NULL if it cannot be created. */
EXPORT Resource *gpt2_team(int32_t threads, const char *isa, bool spins) {
  const KernelSet *kernels = find_kernels(isa);
  if (!kernels || threads < 1) return NULL;
  Team *t = aligned_memory(128, sizeof *t);
  if (!t) return NULL;
  memset(t, 0, sizeof *t);
  t->resource.kind = TEAM;
  t->kernels = kernels;
  t->threads = 1;
  t->handles = calloc((size_t)threads, sizeof *t->handles);
  t->ctx = calloc((size_t)threads, sizeof *t->ctx);
  t->partials = block_alloc(TEAM_PARTIALS * sizeof(double));
  t->spins = spins;
  mutex_init(&t->lock);
  condition_init(&t->wake);
  condition_init(&t->met);
  int ok = t->handles && t->ctx && t->partials;
  for (int i = 0; ok && i < threads; i++) {
    t->ctx[i] = (Ctx){.team = t, .tid = i, .threads = threads};
    if (i == 0) continue;
    ok = !thread_start(&t->handles[i], worker, &t->ctx[i]);
    t->threads += ok;
  }
  if (ok && own(&t->resource)) return &t->resource;
  team_free(&t->resource);
  return NULL;
}

/* Runs the operations with these sizes and numbers. Returns 0, or -1 if memory ran out. Adds to seconds[i] unless NULL. */
EXPORT int32_t gpt2_run(Team *t, const Op *ops, int64_t n_ops, const int64_t *dims, const double *scalars, double *seconds) {
  t->ops = ops, t->n_ops = n_ops, t->dims = dims, t->scalars = scalars, t->seconds = seconds;
  if (t->threads > 1) start_generation(t);
  run_ops(&t->ctx[0]);
  team_barrier(&t->ctx[0]);
  int failed = 0;
  for (int i = 0; i < t->threads; i++) failed |= t->ctx[i].failed, t->ctx[i].failed = 0;
  return failed ? -1 : 0;
}

/* Runs jobs up to the first that fails: its number is then above the two bits of CONVERT_...; any number of threads may call. */
EXPORT int32_t gpt2_convert(const Team *t, const ConvertJob *jobs, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    int32_t result = t->kernels->convert(&jobs[i]);
    if (result != CONVERT_DONE) return (int32_t)(i << 2) | result;
  }
  return CONVERT_DONE;
}

/* ---- Measuring ---- */

typedef struct {
  const KernelSet *kernels;
  double flops, seconds;
} Peak;

static ThreadResult THREAD_CALL measure_peak(void *arg) {
  Peak *p = arg;
  p->kernels->peak(1000000);
  double best = 0;
  for (int i = 0; i < 5; i++) {
    double start = now(), flops = p->kernels->peak(2000000), rate = flops / (now() - start);
    if (rate > best) best = rate;
  }
  p->flops = best;
  return 0;
}

/* Multiply-add floating-point operations per second, of all the team's threads at once. */
EXPORT double gpt2_peak_flops(Team *t) {
  Peak *p = calloc((size_t)t->threads, sizeof *p);
  Thread *h = calloc((size_t)t->threads, sizeof *h);
  double total = 0;
  for (int i = 0; i < t->threads; i++) {
    p[i].kernels = t->kernels;
    if (thread_start(&h[i], measure_peak, &p[i])) p[i].kernels = NULL;
  }
  for (int i = 0; i < t->threads; i++) {
    if (!p[i].kernels) continue;
    thread_join(h[i]);
    total += p[i].flops;
  }
  free(p);
  free(h);
  return total;
}
