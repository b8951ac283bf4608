/*
 * The thread team that runs Programs, memory, mapped files, and the choice of instruction set: everything the TypeScript
 * side calls (src/backend/native/library.ts).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "op.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* library.ts refuses any other version. */
EXPORT int32_t gpt2_version(void) { return KERNELS_VERSION; }

/* ---- Instruction sets ---- */

extern const KernelSet kernels_baseline, kernels_avx2, kernels_avx_vnni, kernels_avx512, kernels_avx512_vnni, kernels_neon_dotprod;

/* build.ts says by HAVE_... which of them the compiler could make. */
static const KernelSet *const best_first[] = {
#if defined(HAVE_kernels_avx512_vnni)
    &kernels_avx512_vnni,
#endif
#if defined(HAVE_kernels_avx512)
    &kernels_avx512,
#endif
#if defined(HAVE_kernels_avx_vnni)
    &kernels_avx_vnni,
#endif
#if defined(HAVE_kernels_avx2)
    &kernels_avx2,
#endif
#if defined(HAVE_kernels_neon_dotprod)
    &kernels_neon_dotprod,
#endif
    &kernels_baseline,
};

/* Whether the processor, and the system for its registers, can run what is compiled for the named set. */
static int can_run(const char *name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (!strcmp(name, "avx2")) return avx2;
  if (!strcmp(name, "avx512")) return avx512;
  if (!strcmp(name, "avx512-vnni")) return avx512 && __builtin_cpu_supports("avx512vnni");
  if (!strcmp(name, "avx-vnni")) { /* compilers' names for it differ: leaf 7, second part, EAX bit 4 */
    unsigned eax, ebx, ecx, edx;
    return avx2 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 4 & 1);
  }
#elif defined(__aarch64__) && defined(__linux__)
  if (!strcmp(name, "neon-dotprod")) return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
#elif defined(__aarch64__) && defined(__APPLE__)
  if (!strcmp(name, "neon-dotprod")) return 1;
#endif
  return !strcmp(name, kernels_baseline.name);
}

static const KernelSet *find_kernels(const char *isa) {
  for (size_t i = 0; i < sizeof best_first / sizeof *best_first; i++) {
    const KernelSet *k = best_first[i];
    if ((!*isa || !strcmp(isa, k->name)) && can_run(k->name)) return k;
  }
  return NULL;
}

/* Whether this machine can run the named set; the empty name stands for the best. */
EXPORT int32_t gpt2_has_isa(const char *isa) { return find_kernels(isa) != NULL; }
EXPORT const char *gpt2_best_isa(void) { return find_kernels("")->name; }

/* ---- Memory ---- */

#define HUGE_PAGE ((size_t)2 << 20)
/*
 * Blocks up to here get ordinary pages. They are often touched in small part only (a cache, logits, activations, each with
 * room for far more tokens than there are), and the first touch of a huge page has to clear all of it: a tenth of a
 * millisecond, and in a virtual machine several where the host does not hold that memory yet. A decoder starts with some 24.
 */
#define ORDINARY_BYTES ((size_t)32 << 20)

/* Zeroed memory, aligned to 64 bytes at least; very large blocks in huge pages where the system gives them. */
EXPORT void *gpt2_alloc(int64_t bytes) {
  size_t size = bytes > 0 ? (size_t)bytes : 1;
  if (size < HUGE_PAGE) {
    void *p = NULL;
    if (posix_memalign(&p, 64, size)) return NULL;
    return memset(p, 0, size);
  }
  size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  char *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  size_t head = (HUGE_PAGE - (size_t)p % HUGE_PAGE) % HUGE_PAGE;
  if (head) munmap(p, head);
  if (HUGE_PAGE - head) munmap(p + head + size, HUGE_PAGE - head);
#ifdef MADV_HUGEPAGE
  if (size > ORDINARY_BYTES) madvise(p + head, size, MADV_HUGEPAGE);
#endif
  return p + head;
}

EXPORT void gpt2_free(void *p, int64_t bytes) {
  size_t size = bytes > 0 ? (size_t)bytes : 1;
  if (size < HUGE_PAGE) free(p);
  else munmap(p, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
}

/* A file mapped read-only, or NULL with -errno in *size. */
EXPORT void *gpt2_map(const char *path, int64_t *size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return *size = -errno, NULL;
  struct stat st;
  void *p = MAP_FAILED;
  if (fstat(fd, &st) == 0 && st.st_size > 0) p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
  *size = p == MAP_FAILED ? -errno : (int64_t)st.st_size;
  close(fd);
  return p == MAP_FAILED ? NULL : p;
}

/* Part of a mapped file that is not needed soon: its memory is the system's to use, and is read again if it is needed. */
EXPORT void gpt2_forget(void *p, int64_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t from = ((size_t)p + page - 1) / page * page, to = ((size_t)p + (size_t)bytes) / page * page;
  if (from < to) madvise((void *)from, to - from, MADV_DONTNEED);
}

EXPORT void gpt2_unmap(void *p, int64_t size) { munmap(p, (size_t)size); }

/* ---- The team ---- */

typedef struct Team {
  const KernelSet *kernels;
  int threads;
  pthread_t *handles;
  Ctx *ctx;
  double *partials;
  /* The run at hand. */
  const Op *ops;
  int64_t n_ops;
  const int64_t *dims;
  const double *scalars;
  double *seconds;
  /* A run starts when `generation` changes; workers sleep on it between runs. */
  atomic_int generation, quit;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  /* Barrier: the last to arrive starts the next phase. Each counter on a cache line of its own. */
  _Alignas(128) atomic_int arrived;
  _Alignas(128) atomic_int phase;
} Team;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static inline void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* Spins for some 50 us, then gives the processor away between looks: right both alone and on a busy machine. */
#define SPINS 2000
/* Some 200 us: from token to token a thread does not sleep, as waking it takes longer than the caller's work between. */
#define SPINS_BETWEEN_RUNS 10000

void team_barrier(Ctx *ctx) {
  Team *t = ctx->team;
  if (t->threads == 1) return;
  int phase = atomic_load_explicit(&t->phase, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&t->arrived, 1, memory_order_acq_rel) == t->threads - 1) {
    atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&t->phase, phase + 1, memory_order_release);
    return;
  }
  for (int i = 0; atomic_load_explicit(&t->phase, memory_order_acquire) == phase; i++) {
    if (i < SPINS) pause_cpu();
    else sched_yield();
  }
}

double *team_partials(Ctx *ctx) { return ctx->team->partials; }

void *scratch_bytes(Ctx *ctx, size_t bytes) {
  if (bytes > ctx->scratch_size) {
    if (ctx->scratch) gpt2_free(ctx->scratch, (int64_t)ctx->scratch_size);
    ctx->scratch = gpt2_alloc((int64_t)bytes);
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

static void *worker(void *arg) {
  Ctx *ctx = arg;
  Team *t = ctx->team;
  int seen = 0;
  for (;;) {
    for (int i = 0; i < SPINS_BETWEEN_RUNS && atomic_load_explicit(&t->generation, memory_order_acquire) == seen; i++) {
      pause_cpu();
      if (i % 64 == 63) sched_yield();
    }
    if (atomic_load_explicit(&t->generation, memory_order_acquire) == seen) {
      pthread_mutex_lock(&t->lock);
      while (atomic_load(&t->generation) == seen) pthread_cond_wait(&t->wake, &t->lock);
      pthread_mutex_unlock(&t->lock);
    }
    seen = atomic_load(&t->generation);
    if (atomic_load(&t->quit)) return NULL;
    run_ops(ctx);
    team_barrier(ctx); /* nobody is still inside the run when the leader returns */
  }
}

static void start_generation(Team *t) {
  pthread_mutex_lock(&t->lock);
  atomic_fetch_add(&t->generation, 1);
  pthread_cond_broadcast(&t->wake);
  pthread_mutex_unlock(&t->lock);
}

/* The team's threads may still be inside this library when the process ends and unloads it: never unload it. */
static void stay_loaded(void) {
  Dl_info info;
  if (dladdr((void *)stay_loaded, &info) && info.dli_fname) dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

EXPORT void gpt2_team_free(Team *t);

/* A team of `threads` threads, the caller of gpt2_run being one; NULL when it cannot be had. */
EXPORT Team *gpt2_team(int32_t threads, const char *isa) {
  const KernelSet *kernels = find_kernels(isa);
  if (!kernels || threads < 1) return NULL;
  stay_loaded();
  Team *t = NULL;
  if (posix_memalign((void **)&t, 128, sizeof *t)) return NULL;
  memset(t, 0, sizeof *t);
  t->kernels = kernels;
  t->threads = 1;
  t->handles = calloc((size_t)threads, sizeof *t->handles);
  t->ctx = calloc((size_t)threads, sizeof *t->ctx);
  t->partials = calloc(TEAM_PARTIALS, sizeof(double));
  pthread_mutex_init(&t->lock, NULL);
  pthread_cond_init(&t->wake, NULL);
  for (int i = 0; i < threads; i++) {
    t->ctx[i] = (Ctx){.team = t, .tid = i, .threads = threads};
    if (i == 0) continue;
    if (pthread_create(&t->handles[i], NULL, worker, &t->ctx[i])) {
      gpt2_team_free(t);
      return NULL;
    }
    t->threads = i + 1;
  }
  return t;
}

EXPORT void gpt2_team_free(Team *t) {
  atomic_store(&t->quit, 1);
  start_generation(t);
  for (int i = 1; i < t->threads; i++) pthread_join(t->handles[i], NULL);
  for (int i = 0; i < t->threads; i++)
    if (t->ctx[i].scratch) gpt2_free(t->ctx[i].scratch, (int64_t)t->ctx[i].scratch_size);
  free(t->handles);
  free(t->ctx);
  free(t->partials);
  free(t);
}

/* Runs the operations with these sizes and numbers. 0, or -1 when memory ran out. Adds to seconds[i] unless NULL. */
EXPORT int32_t gpt2_run(Team *t, const Op *ops, int64_t n_ops, const int64_t *dims, const double *scalars, double *seconds) {
  t->ops = ops, t->n_ops = n_ops, t->dims = dims, t->scalars = scalars, t->seconds = seconds;
  if (t->threads > 1) start_generation(t);
  run_ops(&t->ctx[0]);
  team_barrier(&t->ctx[0]);
  int failed = 0;
  for (int i = 0; i < t->threads; i++) failed |= t->ctx[i].failed, t->ctx[i].failed = 0;
  return failed ? -1 : 0;
}

/* Up to the first job that fails: then its number is above the two bits of CONVERT_...; any number of threads may call. */
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

static void *measure_peak(void *arg) {
  Peak *p = arg;
  p->kernels->peak(1000000);
  double best = 0;
  for (int i = 0; i < 5; i++) {
    double start = now(), flops = p->kernels->peak(2000000), rate = flops / (now() - start);
    if (rate > best) best = rate;
  }
  p->flops = best;
  return NULL;
}

/* Multiply-add floating-point operations per second of all the team's threads at once. */
EXPORT double gpt2_peak_flops(Team *t) {
  Peak *p = calloc((size_t)t->threads, sizeof *p);
  pthread_t *h = calloc((size_t)t->threads, sizeof *h);
  double total = 0;
  for (int i = 0; i < t->threads; i++) {
    p[i].kernels = t->kernels;
    if (pthread_create(&h[i], NULL, measure_peak, &p[i])) p[i].kernels = NULL;
  }
  for (int i = 0; i < t->threads; i++) {
    if (!p[i].kernels) continue;
    pthread_join(h[i], NULL);
    total += p[i].flops;
  }
  free(p);
  free(h);
  return total;
}
