/* The SIMT family's kernels: each variant of variants.h, for each pair of loaders. */
/* CTAs that stay look matrices up while they hold sums, which a call would spill. */
#define LISTED_MATRIX DEVICE
#include "one_variant.h"
#include "sgemm_simt.cuh"

/* With more registers than this the compiler moves accumulators about, and their banks collide. */
#define MOST(ctas)               ((ctas) == 2 ? 232 : 248)
#define EVEN(threads, ctas)      (65536 / ((threads) * (ctas)) / 8 * 8) /* they are given out in eights */
#define REGISTERS(threads, ctas) (EVEN(threads, ctas) < MOST(ctas) ? EVEN(threads, ctas) : MOST(ctas))

#define KERNEL_FOR(name, bm, bn, bk, tm, tn, stages, threads, ctas, wide, suffix, load_a, load_b)                      \
    KERNEL_WITH_REGISTERS(name##_##suffix, threads, REGISTERS(threads, ctas)) {                                        \
        sgemm_simt<bm, bn, bk, tm, tn, stages, (threads) * (tm) * (tn) / ((bm) * (bn)), load_a, load_b, wide>(args);   \
    }

#define ALL_PAIRS(...) GEMM_LOADER_PAIRS(KERNEL_FOR, __VA_ARGS__)
#define FEW_PAIRS(...) GEMM_FEW_LOADER_PAIRS(KERNEL_FOR, __VA_ARGS__)

#define VARIANT(name, family, contract, arch, ...) GEMM_WANTED(name, ALL_PAIRS)(name, __VA_ARGS__)
GEMM_SIMT_VARIANTS(VARIANT)
GEMM_SIMT_FITTED_VARIANTS(VARIANT)
#undef VARIANT

#define VARIANT(name, family, contract, arch, ...) GEMM_WANTED(name, FEW_PAIRS)(name, __VA_ARGS__)
GEMM_SIMT_FEW_VARIANTS(VARIANT)
