/*
 * Generated from src/backend/native/instruction-sets.ts by scripts/generate-c.ts (npm run generate): do not edit. Included
 * by processor.h.
 */
#if defined(__x86_64__)
extern const KernelSet kernels_baseline, kernels_avx2, kernels_avx_vnni, kernels_avx512, kernels_avx512_vnni, kernels_avx512_bf16, kernels_amx_bf16;
static const Feature features_of_kernels_avx2[] = {{0x1, 0, ECX, 0}, {0x1, 0, ECX, 9}, {0x1, 0, ECX, 19}, {0x1, 0, ECX, 20}, {0x1, 0, ECX, 23}, {0x1, 0, ECX, 26}, {0x1, 0, ECX, 28}, {0x1, 0, ECX, 29}, {0x1, 0, ECX, 12}, {0x7, 0, EBX, 5}, {0x7, 0, EBX, 3}, {0x7, 0, EBX, 8}, {0x80000001, 0, ECX, 5}};
static const Feature features_of_kernels_avx_vnni[] = {{0x1, 0, ECX, 0}, {0x1, 0, ECX, 9}, {0x1, 0, ECX, 19}, {0x1, 0, ECX, 20}, {0x1, 0, ECX, 23}, {0x1, 0, ECX, 26}, {0x1, 0, ECX, 28}, {0x1, 0, ECX, 29}, {0x1, 0, ECX, 12}, {0x7, 0, EBX, 5}, {0x7, 0, EBX, 3}, {0x7, 0, EBX, 8}, {0x80000001, 0, ECX, 5}, {0x7, 1, EAX, 4}};
static const Feature features_of_kernels_avx512[] = {{0x1, 0, ECX, 0}, {0x1, 0, ECX, 9}, {0x1, 0, ECX, 19}, {0x1, 0, ECX, 20}, {0x1, 0, ECX, 23}, {0x1, 0, ECX, 26}, {0x1, 0, ECX, 28}, {0x1, 0, ECX, 29}, {0x1, 0, ECX, 12}, {0x7, 0, EBX, 5}, {0x7, 0, EBX, 3}, {0x7, 0, EBX, 8}, {0x80000001, 0, ECX, 5}, {0x7, 0, EBX, 16}, {0x7, 0, EBX, 17}, {0x7, 0, EBX, 30}, {0x7, 0, EBX, 31}};
static const Feature features_of_kernels_avx512_vnni[] = {{0x1, 0, ECX, 0}, {0x1, 0, ECX, 9}, {0x1, 0, ECX, 19}, {0x1, 0, ECX, 20}, {0x1, 0, ECX, 23}, {0x1, 0, ECX, 26}, {0x1, 0, ECX, 28}, {0x1, 0, ECX, 29}, {0x1, 0, ECX, 12}, {0x7, 0, EBX, 5}, {0x7, 0, EBX, 3}, {0x7, 0, EBX, 8}, {0x80000001, 0, ECX, 5}, {0x7, 0, EBX, 16}, {0x7, 0, EBX, 17}, {0x7, 0, EBX, 30}, {0x7, 0, EBX, 31}, {0x7, 0, ECX, 11}};
static const Feature features_of_kernels_avx512_bf16[] = {{0x1, 0, ECX, 0}, {0x1, 0, ECX, 9}, {0x1, 0, ECX, 19}, {0x1, 0, ECX, 20}, {0x1, 0, ECX, 23}, {0x1, 0, ECX, 26}, {0x1, 0, ECX, 28}, {0x1, 0, ECX, 29}, {0x1, 0, ECX, 12}, {0x7, 0, EBX, 5}, {0x7, 0, EBX, 3}, {0x7, 0, EBX, 8}, {0x80000001, 0, ECX, 5}, {0x7, 0, EBX, 16}, {0x7, 0, EBX, 17}, {0x7, 0, EBX, 30}, {0x7, 0, EBX, 31}, {0x7, 0, ECX, 11}, {0x7, 1, EAX, 5}};
static const Feature features_of_kernels_amx_bf16[] = {{0x1, 0, ECX, 0}, {0x1, 0, ECX, 9}, {0x1, 0, ECX, 19}, {0x1, 0, ECX, 20}, {0x1, 0, ECX, 23}, {0x1, 0, ECX, 26}, {0x1, 0, ECX, 28}, {0x1, 0, ECX, 29}, {0x1, 0, ECX, 12}, {0x7, 0, EBX, 5}, {0x7, 0, EBX, 3}, {0x7, 0, EBX, 8}, {0x80000001, 0, ECX, 5}, {0x7, 0, EBX, 16}, {0x7, 0, EBX, 17}, {0x7, 0, EBX, 30}, {0x7, 0, EBX, 31}, {0x7, 0, ECX, 11}, {0x7, 1, EAX, 5}, {0x7, 0, EDX, 24}, {0x7, 0, EDX, 22}};

static const Choice best_first[] = {
#if defined(HAVE_kernels_amx_bf16)
    {&kernels_amx_bf16, features_of_kernels_amx_bf16, 21, 512, true, NULL},
#endif
#if defined(HAVE_kernels_avx512_bf16)
    {&kernels_avx512_bf16, features_of_kernels_avx512_bf16, 19, 512, false, "GenuineIntel"},
#endif
#if defined(HAVE_kernels_avx512_vnni)
    {&kernels_avx512_vnni, features_of_kernels_avx512_vnni, 18, 512, false, NULL},
#endif
#if defined(HAVE_kernels_avx512)
    {&kernels_avx512, features_of_kernels_avx512, 17, 512, false, NULL},
#endif
#if defined(HAVE_kernels_avx_vnni)
    {&kernels_avx_vnni, features_of_kernels_avx_vnni, 14, 256, false, NULL},
#endif
#if defined(HAVE_kernels_avx2)
    {&kernels_avx2, features_of_kernels_avx2, 13, 256, false, NULL},
#endif
    {&kernels_baseline, NULL, 0, 128, false, NULL},
};

#else
extern const KernelSet kernels_neon, kernels_neon_dotprod, kernels_neon_bf16;
static const Feature features_of_kernels_neon_dotprod[] = {20};
static const Feature features_of_kernels_neon_bf16[] = {20, 64 + 14};

static const Choice best_first[] = {
#if defined(HAVE_kernels_neon_bf16)
    {&kernels_neon_bf16, features_of_kernels_neon_bf16, 2, 128, false, NULL},
#endif
#if defined(HAVE_kernels_neon_dotprod)
    {&kernels_neon_dotprod, features_of_kernels_neon_dotprod, 1, 128, false, NULL},
#endif
    {&kernels_neon, NULL, 0, 128, false, NULL},
};

#endif
