/*
 * What this machine can do at best, for comparison with what the kernels do: multiply-adds in registers, of floats or (if
 * the instruction set has them) of bytes summed in 32 bits, and reading memory in order. limits.ts compiles this once per
 * instruction set and runs it:
 *
 *     limits fma|dot8|read THREADS [RUNS]      prints the figure of each of several short runs, one a line: operations, a
 *                                              multiply-add being two, or bytes, per second
 *
 * Exit status 3: this processor lacks the instructions, or the instruction set has no such operation.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#if defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

/* Independent sums: enough to cover latency times ports (4 x 2 cycles and more), few enough to stay in registers. */
#if defined(__AVX512F__)
#define VW 16
#define SUMS 24
#elif defined(__AVX2__)
#define VW 8
#define SUMS 12
#elif defined(__aarch64__)
#define VW 4
#define SUMS 24
#else
#define VW 4
#define SUMS 12
#endif
#define UNROLL _Pragma("GCC unroll 24")
#define RUNS 7
#define MAX_THREADS 256
#define READ_BYTES (1L << 30)

typedef float vf __attribute__((vector_size(4 * VW)));

/* So that no compiler can tell what the factors are, or that nobody needs the sums. */
static volatile float factor = 0.999f, term = 0.1f, sink;

/* `rounds` rounds of SUMS independent multiply-adds in registers; returns the floating-point operations done. */
static double multiply_adds(long rounds) {
  const vf x = factor - (vf){0}, y = term - (vf){0};
  vf sum[SUMS];
  UNROLL for (int i = 0; i < SUMS; i++) sum[i] = y * (float)i;
  for (long r = 0; r < rounds; r++) {
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = sum[i] * x + y; /* tends to y / (1 - x): no overflow, no denormals */
  }
  UNROLL for (int i = 1; i < SUMS; i++) sum[0] += sum[i];
  sink = sum[0][0];
  return 2.0 * VW * SUMS * (double)rounds;
}

/* The same of unsigned by signed bytes, four products to a sum. */
static double dot_products(long rounds) {
#if defined(__AVX512VNNI__)
  const __m512i x = _mm512_set1_epi32((int)(1000 * factor)), y = _mm512_set1_epi32((int)(10 * term));
  typedef int vi __attribute__((vector_size(64)));
  vi sum[SUMS];
  UNROLL for (int i = 0; i < SUMS; i++) sum[i] = i - (vi){0};
  for (long r = 0; r < rounds; r++) {
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = (vi)_mm512_dpbusd_epi32((__m512i)sum[i], x, y);
  }
  UNROLL for (int i = 1; i < SUMS; i++) sum[0] += sum[i];
  sink = (float)sum[0][0];
  return 2.0 * 4 * 16 * SUMS * (double)rounds;
#else
  (void)rounds;
  exit(3);
#endif
}

/* Adds up n floats (a multiple of 8 VW, aligned); returns the bytes read. */
static double read_through(const float *data, long n) {
  const vf *v = (const vf *)data;
  vf sum[8];
  memset(sum, 0, sizeof sum);
  for (long i = 0; i < n / VW; i += 8) {
    UNROLL for (int j = 0; j < 8; j++) sum[j] += v[i + j];
  }
  UNROLL for (int j = 1; j < 8; j++) sum[0] += sum[j];
  sink = sum[0][0];
  return (double)n * sizeof(float);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
  double (*operations)(long rounds); /* NULL: read */
  float *data;
  long count; /* floats, or rounds */
  double work, from, to;
} Job;

static pthread_barrier_t together;

static void *run(void *argument) {
  Job *job = argument;
  pthread_barrier_wait(&together);
  job->from = seconds();
  job->work = job->operations ? job->operations(job->count) : read_through(job->data, job->count);
  job->to = seconds();
  return NULL;
}

/* Work per second of all threads from the first one's start to the last one's end. */
static double rate(Job *jobs, int threads) {
  pthread_t thread[MAX_THREADS];
  pthread_barrier_init(&together, NULL, (unsigned)threads);
  for (int i = 0; i < threads; i++) pthread_create(&thread[i], NULL, run, &jobs[i]);
  for (int i = 0; i < threads; i++) pthread_join(thread[i], NULL);
  pthread_barrier_destroy(&together);
  double from = jobs[0].from, to = jobs[0].to, work = 0;
  for (int i = 0; i < threads; i++) {
    if (jobs[i].from < from) from = jobs[i].from;
    if (jobs[i].to > to) to = jobs[i].to;
    work += jobs[i].work;
  }
  return work / (to - from);
}

/* Rounds that take about a fifth of a second. */
static long calibrated_rounds(double (*operations)(long)) {
  long rounds = 1 << 16;
  for (;;) {
    double start = seconds();
    operations(rounds);
    double took = seconds() - start;
    if (took > 0.02) return (long)((double)rounds * 0.2 / took);
    rounds *= 2;
  }
}

/* Huge pages where the system has them: the limit is the memory's, not the page table's. */
static float *memory(size_t bytes) {
  float *data = aligned_alloc(1 << 21, bytes);
  if (!data) return NULL;
#ifdef MADV_HUGEPAGE
  madvise(data, bytes, MADV_HUGEPAGE);
#endif
  for (size_t i = 0; i < bytes / sizeof(float); i++) data[i] = 1.0f;
  return data;
}

static int supported(void) {
#if defined(__AVX512VNNI__)
  return __builtin_cpu_supports("avx512vnni");
#elif defined(__AVX512F__)
  return __builtin_cpu_supports("avx512f");
#elif defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return 1;
#endif
}

int main(int argc, char **argv) {
  int threads = argc >= 3 ? atoi(argv[2]) : 0, runs = argc == 4 ? atoi(argv[3]) : RUNS;
  if (threads < 1 || threads > MAX_THREADS || runs < 1 || argc > 4)
    return fprintf(stderr, "usage: limits fma|dot8|read THREADS [RUNS]\n"), 2;
  if (!supported()) return 3;
  Job jobs[MAX_THREADS] = {{0}};
  if (strcmp(argv[1], "read") != 0) {
    double (*operations)(long) = strcmp(argv[1], "dot8") == 0 ? dot_products : multiply_adds;
    long rounds = calibrated_rounds(operations);
    for (int i = 0; i < threads; i++) {
      jobs[i].operations = operations;
      jobs[i].count = rounds;
    }
  } else {
    long count = READ_BYTES / (long)sizeof(float) / threads / (8 * VW) * (8 * VW);
    float *data = memory(READ_BYTES);
    if (!data) return fprintf(stderr, "no %ld bytes of memory\n", READ_BYTES), 1;
    for (int i = 0; i < threads; i++) {
      jobs[i].data = data + i * count;
      jobs[i].count = count;
    }
  }
  for (int i = 0; i < runs; i++) printf("%.6g\n", rate(jobs, threads));
  return 0;
}
