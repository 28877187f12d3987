/* The kernels of family TF32_MMA: each variant of variants.h, for each pair of loaders. */
#include "one_variant.h"
#include "sgemm_tf32_mma.cuh"

/* Kernels for newer architectures are empty in the code of older ones. */
#ifdef __CUDA_ARCH__
#define COMPILED_FOR(arch) (__CUDA_ARCH__ >= (arch)*10)
#else
#define COMPILED_FOR(arch) true
#endif

#define KERNEL_FOR(name, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide, suffix, load_a, load_b)                \
    KERNEL(name##_##suffix, threads, ctas) {                                                                           \
        if (COMPILED_FOR(arch)) sgemm_tf32_mma<bm, bn, bk, tm, tn, stages, load_a, load_b>(args);                      \
    }

#define ALL_PAIRS(...) GEMM_LOADER_PAIRS(KERNEL_FOR, __VA_ARGS__)

#define VARIANT(name, family, contract, ...) GEMM_WANTED(name, ALL_PAIRS)(name, __VA_ARGS__)
GEMM_TF32_MMA_VARIANTS(VARIANT)
