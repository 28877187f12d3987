/* The SIMT family's kernels: each variant of variants.h, for each pair of loaders. */
#include "sgemm_simt.cuh"

#define KERNEL_FOR(name, bm, bn, bk, tm, tn, stages, threads, ctas, wide, suffix, load_a, load_b)                      \
    KERNEL(name##_##suffix, threads, ctas) { sgemm_simt<bm, bn, bk, tm, tn, stages, load_a, load_b, wide>(args); }

#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    GEMM_LOADER_PAIRS(KERNEL_FOR, name, bm, bn, bk, tm, tn, stages, threads, ctas, wide)
GEMM_SIMT_VARIANTS(VARIANT)
