/* The skinny family's kernels: each of its variants in variants.h, for its pairs of loaders. */
#include "sgemm_skinny.cuh"

#define KERNEL_FOR(name, bm, bn, bk, tm, tn, stages, threads, ctas, wide, suffix, load_a, load_b)                      \
    KERNEL(name##_##suffix, threads, ctas) {                                                                           \
        sgemm_skinny<bm, bn, bk, tm, tn, stages, threads, load_a, load_b>(args);                                       \
    }

#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    GEMM_UNALIGNED_PAIRS(KERNEL_FOR, name, bm, bn, bk, tm, tn, stages, threads, ctas, wide)
GEMM_SKINNY_VARIANTS(VARIANT)
