/*
 * Prints the list of kernels as the compiled-code check wants it: kernel, oldest architecture, threads, CTAs per SM,
 * shared memory.
 */
#include <stdio.h>

#include "../../kernels/variants.h"

#define ROW(name, suffix, load_a, load_b)                                                                              \
    printf(#name "_" #suffix " %d %d %d %d\n", gemm_variants[VARIANT_##name].min_arch,                                 \
           gemm_variants[VARIANT_##name].threads, gemm_variants[VARIANT_##name].ctas_per_sm,                           \
           gemm_variant_shared_bytes(&gemm_variants[VARIANT_##name], load_a, load_b));
#define ALL_PAIRS(name, ...) GEMM_LOADER_PAIRS(ROW, name)
#define FEW_PAIRS(name, ...) GEMM_FEW_LOADER_PAIRS(ROW, name)

int main(void) {
    GEMM_SIMT_VARIANTS(ALL_PAIRS)
    GEMM_SIMT_FEW_VARIANTS(FEW_PAIRS)
    GEMM_STREAM_VARIANTS(FEW_PAIRS)
    GEMM_TF32_MMA_VARIANTS(ALL_PAIRS)
    return 0;
}
