/* The kernels of SIMT variants whose slices all store: each of variants.h, for each pair of loaders. */
#define LISTED_MATRIX DEVICE
#include "sgemm_sliced.cuh"

/* As many as an SM has for it and some to spare: the accumulators of all pairs then lie in good banks. */
#define REGISTERS 224

#define KERNEL_FOR(name, bm, bn, bk, tm, tn, stages, threads, ctas, wide, suffix, load_a, load_b)                      \
    KERNEL_WITH_REGISTERS(name##_##suffix, threads, REGISTERS) {                                                       \
        sgemm_sliced<bm, bn, bk, tm, tn, stages, (threads) * (tm) * (tn) / ((bm) * (bn)), load_a, load_b>(args);       \
    }

#define VARIANT(name, family, contract, arch, bm, bn, bk, tm, tn, stages, threads, ctas, wide)                         \
    GEMM_LOADER_PAIRS(KERNEL_FOR, name, bm, bn, bk, tm, tn, stages, threads, ctas, wide)
GEMM_SLICED_VARIANTS(VARIANT)
