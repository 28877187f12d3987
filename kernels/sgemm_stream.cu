/* The streaming family's kernels: each of its variants in variants.h, for its pairs of loaders. */
#include "sgemm_stream.cuh"

#define KERNEL_FOR(name, bm, bn, bk, tm, tn, stages, threads, ctas, wide, suffix, load_a, load_b)                      \
    KERNEL(name##_##suffix, threads, ctas) {                                                                           \
        sgemm_stream<bm, bn, bk, tm, tn, load_a, load_b>(args);                                                        \
    }

#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    GEMM_STREAM_PAIRS(KERNEL_FOR, name, bm, bn, bk, tm, tn, stages, threads, ctas, wide)
GEMM_STREAM_VARIANTS(VARIANT)
