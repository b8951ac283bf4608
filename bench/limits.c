/*
 * The machine's limits, for comparison with the kernels: multiply-adds in registers, of floats or (if
 * the instruction set has them) of bytes summed in 32 bits or of bf16 summed in floats, and reading memory in order. limits.ts compiles this once per
 * instruction set and runs it:
 *
 * limits fma|bf16|dot8|read THREADS [RUNS] prints the figure of each of several short runs, one per line: operations, a
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
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__AMX_BF16__)
#include <sys/syscall.h>
#include <unistd.h>
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

/* Hide from the compiler the values of the factors, and that the sums are not used. */
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

/*
 * The same for unsigned by signed bytes, summed in 32 bits: vector, its width in ints, and sum + x y of four neighbours
 * by the fewest instructions there are. Without a dot product of bytes their pairs go into 16 bits, which saturates:
 * exact only for small enough values, as these are (and as weights and activations scaled to 7 bits would be).
 */
#if defined(__AVX512VNNI__)
#define DOT_VECTOR __m512i
#define DOT_SPLAT _mm512_set1_epi32
#define DOT_ADD(sum, x, y) _mm512_dpbusd_epi32(sum, x, y)
#elif defined(__AVX512BW__)
#define DOT_VECTOR __m512i
#define DOT_SPLAT _mm512_set1_epi32
#define DOT_ADD(sum, x, y) _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(x, y), _mm512_set1_epi16(1)))
#elif defined(__AVXVNNI__)
#define DOT_VECTOR __m256i
#define DOT_SPLAT _mm256_set1_epi32
#define DOT_ADD(sum, x, y) _mm256_dpbusd_avx_epi32(sum, x, y)
#elif defined(__AVX2__)
#define DOT_VECTOR __m256i
#define DOT_SPLAT _mm256_set1_epi32
#define DOT_ADD(sum, x, y) _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), _mm256_set1_epi16(1)))
#elif defined(__x86_64__)
/* No products of bytes: of 16-bit values, half as many to a vector, widened beforehand. */
#define DOT_VECTOR __m128i
#define DOT_SPLAT _mm_set1_epi32
#define DOT_ADD(sum, x, y) _mm_add_epi32(sum, _mm_madd_epi16(x, y))
#define DOT_PRODUCTS 2
#endif
#if !defined(DOT_PRODUCTS)
#define DOT_PRODUCTS 4 /* per 32-bit sum */
#endif

static double dot_products(long rounds) {
#if defined(DOT_VECTOR)
  typedef int vi __attribute__((vector_size(sizeof(DOT_VECTOR))));
  vi sum[SUMS];
  DOT_VECTOR x[SUMS];
  const DOT_VECTOR y = DOT_SPLAT((int)(10 * term));
  UNROLL for (int i = 0; i < SUMS; i++) sum[i] = (vi)(x[i] = DOT_SPLAT((int)(1000 * factor) + i));
  for (long r = 0; r < rounds; r++) {
    /* Read from memory that "changes": otherwise the products would be computed only once. */
    __asm__("" : "+m"(x));
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = (vi)DOT_ADD((DOT_VECTOR)sum[i], x[i], y);
  }
  UNROLL for (int i = 1; i < SUMS; i++) sum[0] += sum[i];
  sink = (float)sum[0][0];
  return 2.0 * DOT_PRODUCTS * (double)(sizeof(DOT_VECTOR) / sizeof(int)) * SUMS * (double)rounds;
#else
  (void)rounds;
  exit(3);
#endif
}

/* The same for pairs of bf16, summed in floats. */
static double bf16_products(long rounds) {
#if defined(__AMX_BF16__)
  /* Tiles of 16 rows of 64 bytes: 16 x 16 sums of 32 products each, four tiles of sums as in a block of 2 x 2. */
  static const struct {
    unsigned char palette, start, zero[14];
    unsigned short row_bytes[16];
    unsigned char rows[16];
  } shapes = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
  _tile_loadconfig(&shapes);
  for (long r = 0; r < rounds; r++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return 4 * 2.0 * 16 * 16 * 32 * (double)rounds;
#elif defined(__AVX512BF16__)
  const __m512bh y = (__m512bh)_mm512_set1_epi32(term > 0 ? 0x3e003e00 : 0);
  __m512bh x[SUMS];
  __m512 sum[SUMS];
  UNROLL for (int i = 0; i < SUMS; i++) {
    x[i] = (__m512bh)_mm512_set1_epi32(0x3f003f00 + i);
    sum[i] = _mm512_setzero_ps();
  }
  for (long r = 0; r < rounds; r++) {
    __asm__("" : "+m"(x));
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbf16_ps(sum[i], x[i], y);
  }
  UNROLL for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  sink = ((vf)sum[0])[0];
  return 2.0 * 2 * VW * SUMS * (double)rounds;
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
  long count; /* number of floats, or of rounds */
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

/* Huge pages where the system has them, so that the memory is the limit, not the page table. */
static float *memory(size_t bytes) {
  float *data = aligned_alloc(1 << 21, bytes);
  if (!data) return NULL;
#ifdef MADV_HUGEPAGE
  madvise(data, bytes, MADV_HUGEPAGE);
#endif
  for (size_t i = 0; i < bytes / sizeof(float); i++) data[i] = 1.0f;
  return data;
}

#if defined(__AVXVNNI__) && !defined(__AVX512F__)
#include <cpuid.h>
/* Compilers' own names for this feature differ: leaf 7, second part, EAX bit 4. */
static int has_avx_vnni(void) {
  unsigned eax, ebx, ecx, edx;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 4 & 1) && __builtin_cpu_supports("avx2");
}
#endif

static int supported(void) {
#if defined(__AMX_BF16__) /* the processor has it, and the system allows it */
  return __builtin_cpu_supports("amx-bf16") && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#elif defined(__AVX512BF16__)
  return __builtin_cpu_supports("avx512bf16");
#elif defined(__AVX512VNNI__)
  return __builtin_cpu_supports("avx512vnni");
#elif defined(__AVXVNNI__)
  return has_avx_vnni();
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
    return fprintf(stderr, "usage: limits fma|bf16|dot8|read THREADS [RUNS]\n"), 2;
  if (!supported()) return 3;
  Job jobs[MAX_THREADS] = {{0}};
  if (strcmp(argv[1], "read") != 0) {
    double (*operations)(long) = multiply_adds;
    if (strcmp(argv[1], "dot8") == 0) operations = dot_products;
    if (strcmp(argv[1], "bf16") == 0) operations = bf16_products;
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
