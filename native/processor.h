/* The kernels that the processor can run: each instruction set by the features for which it was compiled. */
#ifndef GPT2_PROCESSOR_H
#define GPT2_PROCESSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "op.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { EAX, EBX, ECX, EDX };

/* A feature: a bit of CPUID's result. */
typedef struct {
  uint32_t leaf, subleaf;
  uint8_t reg, bit;
} Feature;

static bool has_feature(Feature f) {
  unsigned r[4];
  return __get_cpuid_count(f.leaf, f.subleaf, &r[EAX], &r[EBX], &r[ECX], &r[EDX]) && (r[f.reg] >> f.bit & 1);
}

/* Whether CPUID gives this vendor's name. */
static bool made_by(const char *maker) {
  unsigned eax, name[3]; /* its parts are in EBX, EDX and ECX */
  return __get_cpuid(0, &eax, &name[0], &name[2], &name[1]) && !memcmp(name, maker, sizeof name);
}

/* Whether the system saves all these parts of a thread's state: bits of XCR0. */
static bool saves_state(unsigned wanted) {
  unsigned eax, ebx, ecx, edx, low, high;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx >> 27 & 1)) return false; /* OSXSAVE: XGETBV exists */
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & wanted) == wanted;
}

/* Whether the system saves vector registers of this many bits. */
static bool saves_vectors(int bits) {
  if (bits <= 128) return true;
#if defined(__APPLE__) /* it enables the state of AVX-512 on first use */
  unsigned wanted = 0x06;
#else
  unsigned wanted = bits > 256 ? 0xe6 : 0x06; /* SSE and AVX; opmask, the upper halves, and the upper 16 registers */
#endif
  return saves_state(wanted);
}

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define REQUEST_PERMISSION 0x1023 /* ARCH_REQ_XCOMP_PERM */
#define TILE_DATA 18 /* of the state's parts */
/* Whether the system saves tile registers and permits this process to use them; the permission is for all its threads and permanent. */
static bool allows_tiles(void) { return saves_state(3u << 17) && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0; }
#else
static bool allows_tiles(void) { return false; }
#endif

#else

/* A feature: a bit of the system's description of the processor. */
typedef uint32_t Feature;

#define DOT_PRODUCTS 20 /* of HWCAP */
#define BF16_PRODUCTS (64 + 14) /* of HWCAP2 */

#if defined(__linux__)
#include <sys/auxv.h>
static bool has_feature(Feature f) { return getauxval(f < 64 ? AT_HWCAP : AT_HWCAP2) >> (f % 64) & 1; }
#elif defined(_WIN32)
static bool has_feature(Feature f) { return f == DOT_PRODUCTS && IsProcessorFeaturePresent(43); } /* PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE */
#else
#include <sys/sysctl.h>
/* Every Mac with arm64 has dot products. */
static bool has_feature(Feature f) {
  int has = 0;
  size_t size = sizeof has;
  return f == DOT_PRODUCTS || (f == BF16_PRODUCTS && sysctlbyname("hw.optional.arm.FEAT_BF16", &has, &size, NULL, 0) == 0 && has);
}
#endif
static bool saves_vectors(int bits) { return bits <= 128; }
static bool allows_tiles(void) { return false; }
static bool made_by(const char *maker) { return (void)maker, false; }

#endif

/* Kernels that this library contains. */
typedef struct {
  const KernelSet *kernels;
  const Feature *features;
  int count, vector_bits;
  bool tiles;
  const char *slow_on; /* a vendor whose processors run the next choice faster; or NULL */
} Choice;

#include "instruction-sets.h"

static bool can_run(const Choice *c) {
  for (int i = 0; i < c->count; i++)
    if (!has_feature(c->features[i])) return false;
  return saves_vectors(c->vector_bits) && (!c->tiles || allows_tiles());
}

/* The named kernels, or with an empty name the best; NULL when the processor can't run them. */
static const KernelSet *find_kernels(const char *isa) {
  for (size_t i = 0; i < sizeof best_first / sizeof *best_first; i++) {
    const Choice *c = &best_first[i];
    const bool wanted = *isa ? !strcmp(isa, c->kernels->name) : !c->slow_on || !made_by(c->slow_on);
    if (wanted && can_run(c)) return c->kernels;
  }
  return NULL;
}

#endif
