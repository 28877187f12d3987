/* The kernels of family TF32_KEPT: each variant of variants.h, for both orders that B may lie in. */
#include "sgemm_tf32_kept.cuh"

/* Kernels for newer architectures are empty in the code of older ones. */
#ifdef __CUDA_ARCH__
#define COMPILED_FOR(arch) (__CUDA_ARCH__ >= (arch)*10)
#else
#define COMPILED_FOR(arch) true
#endif

#define KERNEL_FOR(name, arch, bm, bn, bk, threads, ctas, suffix, load_a, load_b)                                      \
    KERNEL(name##_##suffix, threads, ctas) {                                                                           \
        if (COMPILED_FOR(arch)) sgemm_tf32_kept<bm, bn, bk, load_a, load_b>(args);                                     \
    }

#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    GEMM_A_ALONG_M_PAIRS(KERNEL_FOR, name, arch, bm, bn, bk, threads, ctas)
GEMM_TF32_KEPT_VARIANTS(VARIANT)
